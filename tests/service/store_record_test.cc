#include "service/store_record.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/file.h"
#include "service/apply_blocking.h"
#include "store/memory/memory_engine.h"
#include "store/tables.h"
#include "tests/testing/matchers.h"
#include "tests/testing/temp_dir.h"

namespace cmkstore::service {
namespace {

using testing::FailsWith;
using testing::IsOk;

TEST(LoadStoreRecordTest, AStoreThatHadMoreShardsIsRefused) {
  store::MemoryEngine engine(2);
  crypto::SystemRandom random;
  const auto made = LoadStoreRecord(engine, random);
  ASSERT_THAT(made, IsOk());
  EXPECT_EQ(LoadStoreRecord(engine, random)->store_uid(), made->store_uid());
  storage::v1::StoreRecord record = *made;
  record.set_shard_count(3);
  store::WriteSet writes;
  store::StoreTable::Put(writes, record);
  ASSERT_THAT(ApplyBlocking(engine, store::CatalogPartition(), std::move(writes)), IsOk());
  EXPECT_THAT(LoadStoreRecord(engine, random), FailsWith("STORE_CORRUPT", "3 shards"));
}

TEST(CheckPlatformKeyFileTest, AKeyThatAHubIsUnderMustBeThere) {
  store::MemoryEngine engine(1);
  const testing::TempDir dir;
  const std::string path = dir.path() + "/platform.key";
  const auto put = [&](bool platform_managed, storage::v1::HubState state) {
    storage::v1::HubRecord hub;
    hub.set_tenant("contoso");
    hub.set_hub("h1");
    hub.set_platform_managed(platform_managed);
    hub.set_state(state);
    store::WriteSet writes;
    store::HubsTable::Put(writes, hub.tenant(), hub.hub(), hub);
    ASSERT_THAT(ApplyBlocking(engine, store::CatalogPartition(), std::move(writes)), IsOk());
  };
  EXPECT_THAT(CheckPlatformKeyFile(engine, path), IsOk()) << "a new store";
  put(false, storage::v1::HUB_STATE_ACTIVE);
  EXPECT_THAT(CheckPlatformKeyFile(engine, path), IsOk()) << "it is under its customer's key";
  put(true, storage::v1::HUB_STATE_DELETED);
  EXPECT_THAT(CheckPlatformKeyFile(engine, path),
              FailsWith("STATE_INVALID", "tenants/contoso/hubs/h1"));
  ASSERT_TRUE(WriteFileDurably(path, std::string(32, 'k')));
  EXPECT_THAT(CheckPlatformKeyFile(engine, path), IsOk());
  std::filesystem::remove(path);
  put(true, storage::v1::HUB_STATE_PURGED);
  EXPECT_THAT(CheckPlatformKeyFile(engine, path), IsOk()) << "nothing is left to open";
}

TEST(CheckPlatformKeyFileTest, APathThatCannotBeLookedAtIsToldAndNotTakenForMissing) {
  store::MemoryEngine engine(1);
  const testing::TempDir dir;
  const std::string path = dir.path() + "/platform.key";
  std::filesystem::create_symlink(path, path);  // leads nowhere but to itself
  EXPECT_THAT(CheckPlatformKeyFile(engine, path),
              FailsWith("STATE_INVALID", "cannot be looked at"));
}

}  // namespace
}  // namespace cmkstore::service
