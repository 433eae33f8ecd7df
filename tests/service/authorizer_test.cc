// What each role may do, and where.

#include "service/authorizer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/errors.h"

namespace cmkstore::service {
namespace {

// One row of docs/authentication.md's table per role.
TEST(AuthorizerTest, EachRoleMayDoWhatTheTableSays) {
  using enum Permission;
  const std::vector<std::pair<std::string, std::vector<Permission>>> table = {
      {"cmkstore.reader", {kReadDocuments, kReadHubs}},
      {"cmkstore.contributor", {kReadDocuments, kWriteDocuments, kReadHubs, kManageProjects}},
      {"cmkstore.key_admin", {kReadHubs, kManageKeys, kRunOperations}},
      {"cmkstore.auditor", {kReadHubs}},
      {"cmkstore.operator", {kReadHubs, kRunOperations, kOperateServer}},
      {"cmkstore.owner",
       {kReadDocuments, kWriteDocuments, kReadHubs, kManageProjects, kManageHubs, kManageKeys,
        kRunOperations}},
      {"reader", {}},
      {"cmkstore.reader2", {}}};
  const ResourceScope scope{*TenantId::Parse("t1"), *HubId::Parse("h1"), std::nullopt};
  for (const auto& [role, granted] : table) {
    Caller caller;
    caller.tenant = "t1";
    caller.roles = {role};
    for (const Permission permission : {kReadDocuments, kWriteDocuments, kReadHubs, kManageProjects,
                                        kManageHubs, kManageKeys, kRunOperations, kOperateServer}) {
      const bool expected = std::find(granted.begin(), granted.end(), permission) != granted.end();
      EXPECT_EQ(Authorize(caller, permission, scope).ok(), expected)
          << role << " " << static_cast<int>(permission);
      caller.tenant = "t2";
      EXPECT_EQ(ReasonOf(Authorize(caller, permission, scope)), "ACCESS_DENIED");
      caller.tenant = "t1";
    }
  }
}

TEST(AuthorizerTest, OfTheServerNothingIsGrantedButToOperatorsOfItsTenant) {
  const ResourceScope server{*TenantId::Parse("operators"), std::nullopt, std::nullopt,
                             /*server=*/true};
  const auto may = [&](const std::string& tenant, const std::string& role) {
    Caller caller;
    caller.tenant = tenant;
    caller.roles = {role};
    return Authorize(caller, Permission::kReadHubs, server).ok();
  };
  EXPECT_TRUE(may("operators", "cmkstore.operator"));
  EXPECT_FALSE(may("operators", "cmkstore.owner")) << "though it may read hubs there";
  EXPECT_FALSE(may("operators", "cmkstore.operator:hubs/h1"));
  EXPECT_FALSE(may("t1", "cmkstore.operator"));
}

TEST(AuthorizerTest, ARoleForAPartHoldsThatPartOnly) {
  const auto may = [](const std::string& role, const char* hub, const char* project) {
    Caller caller;
    caller.tenant = "t1";
    caller.roles = {role};
    ResourceScope scope{*TenantId::Parse("t1"), std::nullopt, std::nullopt};
    if (hub != nullptr) scope.hub = *HubId::Parse(hub);
    if (project != nullptr) scope.project = *ProjectId::Parse(project);
    return Authorize(caller, Permission::kReadDocuments, scope).ok();
  };
  EXPECT_TRUE(may("cmkstore.reader:hubs/h1", "h1", nullptr));
  EXPECT_TRUE(may("cmkstore.reader:hubs/h1", "h1", "p1"));
  EXPECT_FALSE(may("cmkstore.reader:hubs/h1", "h11", nullptr));
  EXPECT_FALSE(may("cmkstore.reader:hubs/h1", nullptr, nullptr));
  EXPECT_TRUE(may("cmkstore.reader:hubs/h1/projects/p1", "h1", "p1"));
  EXPECT_FALSE(may("cmkstore.reader:hubs/h1/projects/p1", "h1", "p2"));
  EXPECT_FALSE(may("cmkstore.reader:hubs/h1/projects/p1", "h1", nullptr));
  EXPECT_FALSE(may("cmkstore.reader:", "h1", nullptr));
  EXPECT_FALSE(may("cmkstore.reader:projects/p1", "h1", "p1"));
}

}  // namespace
}  // namespace cmkstore::service
