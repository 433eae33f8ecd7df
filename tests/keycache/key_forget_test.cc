// Who holds something under a hub's key is told when the key is wiped without a lock.

#include "tests/keycache/key_cache_fixture.h"

namespace cmkstore::keycache {
namespace {

using KeyForgetTest = KeyCacheTest;

TEST_F(KeyForgetTest, KeysThatAgeAreToldOf) {  // KL-8
  const HubUid hub = NewHub();
  ASSERT_THAT(Fetch(hub), IsOk());
  Pass(options_.entry_lifetime * 0.9);
  EXPECT_EQ(listener_.forgotten, 0) << "refreshed";
  Pass(options_.entry_lifetime * 2);
  EXPECT_FALSE(cache().Status(hub).cached);
  EXPECT_EQ(listener_.forgotten, 1);
}

TEST_F(KeyForgetTest, KeysThatMakeRoomOrAreReplacedAreToldOf) {  // KL-8
  options_.max_hubs = 1;
  const HubUid hub = NewHub();
  ASSERT_THAT(Fetch(hub), IsOk());
  ASSERT_THAT(Fetch(NewHub()), IsOk());
  EXPECT_EQ(listener_.forgotten, 1);
  ASSERT_THAT(Fetch(hub), IsOk());
  EXPECT_EQ(listener_.forgotten, 2);
  cache().Forget(hub);
  cache().Forget(hub);
  EXPECT_EQ(listener_.forgotten, 3) << "once";
  ASSERT_THAT(Fetch(hub), IsOk());
  cache().Supersede(hub);
  EXPECT_EQ(listener_.forgotten, 4);
  ASSERT_THAT(Fetch(hub), IsOk());
  cache().Lock(hub);
  EXPECT_EQ(listener_.forgotten, 4) << "of a lock it is told as of one";
}

}  // namespace
}  // namespace cmkstore::keycache
