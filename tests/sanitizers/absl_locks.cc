// Tells the thread sanitizer of Abseil's locks. Debian's Abseil is built without it, so that
// without this all that a lock guards would look like a race. Linked into the tests of the tsan
// preset: the functions here stand before those of the shared library, which they call, for our
// code and for gRPC's.

#include <absl/synchronization/blocking_counter.h>
#include <absl/synchronization/mutex.h>
#include <absl/synchronization/notification.h>
#include <dlfcn.h>
#include <sanitizer/tsan_interface.h>

#include <cstdio>
#include <cstdlib>
#include <optional>

namespace {

constexpr unsigned kWrite = 0;
constexpr unsigned kRead = __tsan_mutex_read_lock;

// The library's function of this name in its object file.
template <typename Function>
Function* Next(const char* mangled) {
  auto* next = reinterpret_cast<Function*>(dlsym(RTLD_NEXT, mangled));
  if (next == nullptr) {
    std::fprintf(stderr, "absl_locks.cc: Abseil has no %s\n", mangled);
    std::abort();
  }
  return next;
}

// While Abseil takes a lock, or gives it up, it evaluates the conditions of those who wait. That is
// under the lock, but the sanitizer cannot know: between `pre` and `post` it looks away.
class Taking {
 public:
  Taking(void* lock, unsigned how) : lock_(lock), how_(how) { __tsan_mutex_pre_lock(lock, how); }
  ~Taking() { __tsan_mutex_post_lock(lock_, how_, 0); }
  void Failed() { how_ |= __tsan_mutex_try_lock_failed; }

 private:
  void* lock_;
  unsigned how_;
};

class Giving {
 public:
  Giving(void* lock, unsigned how) : lock_(lock), how_(how) { __tsan_mutex_pre_unlock(lock, how); }
  ~Giving() { __tsan_mutex_post_unlock(lock_, how_); }

 private:
  void* lock_;
  unsigned how_;
};

// Gives a lock up, waits, and has it again. Nobody waits in a lock that it holds for reading.
class Waiting {
 public:
  explicit Waiting(void* lock) {
    { Giving giving(lock, kWrite); }
    taking_.emplace(lock, kWrite);
  }

 private:
  std::optional<Taking> taking_;
};

}  // namespace

// Calls the library's function `mangled`, whose first argument is the object.
#define CMK_NEXT(mangled, Function, ...)               \
  [&] {                                                \
    static auto* const next = Next<Function>(mangled); \
    return next(__VA_ARGS__);                          \
  }()

namespace absl {
ABSL_NAMESPACE_BEGIN

// Abseil's functions that take a timeout call those that take a deadline, which are here.

Mutex::~Mutex() {
  CMK_NEXT("_ZN4absl7debian35MutexD1Ev", void(Mutex*), this);
  __tsan_mutex_destroy(this, __tsan_mutex_not_static);
}
void Mutex::Lock() {
  const Taking taking(this, kWrite);
  CMK_NEXT("_ZN4absl7debian35Mutex4LockEv", void(Mutex*), this);
}
void Mutex::Unlock() {
  const Giving giving(this, kWrite);
  CMK_NEXT("_ZN4absl7debian35Mutex6UnlockEv", void(Mutex*), this);
}
bool Mutex::TryLock() {
  Taking taking(this, __tsan_mutex_try_lock);
  const bool locked = CMK_NEXT("_ZN4absl7debian35Mutex7TryLockEv", bool(Mutex*), this);
  if (!locked) taking.Failed();
  return locked;
}
void Mutex::ReaderLock() {
  const Taking taking(this, kRead);
  CMK_NEXT("_ZN4absl7debian35Mutex10ReaderLockEv", void(Mutex*), this);
}
void Mutex::ReaderUnlock() {
  const Giving giving(this, kRead);
  CMK_NEXT("_ZN4absl7debian35Mutex12ReaderUnlockEv", void(Mutex*), this);
}
void Mutex::LockWhen(const Condition& condition) {
  const Taking taking(this, kWrite);
  CMK_NEXT("_ZN4absl7debian35Mutex8LockWhenERKNS0_9ConditionE", void(Mutex*, const Condition&),
           this, condition);
}
bool Mutex::LockWhenWithDeadline(const Condition& condition, Time deadline) {
  const Taking taking(this, kWrite);
  return CMK_NEXT("_ZN4absl7debian35Mutex20LockWhenWithDeadlineERKNS0_9ConditionENS0_4TimeE",
                  bool(Mutex*, const Condition&, Time), this, condition, deadline);
}
void Mutex::Await(const Condition& condition) {
  const Waiting waiting(this);
  CMK_NEXT("_ZN4absl7debian35Mutex5AwaitERKNS0_9ConditionE", void(Mutex*, const Condition&), this,
           condition);
}
bool Mutex::AwaitWithDeadline(const Condition& condition, Time deadline) {
  const Waiting waiting(this);
  return CMK_NEXT("_ZN4absl7debian35Mutex17AwaitWithDeadlineERKNS0_9ConditionENS0_4TimeE",
                  bool(Mutex*, const Condition&, Time), this, condition, deadline);
}

void CondVar::Wait(Mutex* mutex) {
  const Waiting waiting(mutex);
  CMK_NEXT("_ZN4absl7debian37CondVar4WaitEPNS0_5MutexE", void(CondVar*, Mutex*), this, mutex);
}
bool CondVar::WaitWithDeadline(Mutex* mutex, Time deadline) {
  const Waiting waiting(mutex);
  return CMK_NEXT("_ZN4absl7debian37CondVar16WaitWithDeadlineEPNS0_5MutexENS0_4TimeE",
                  bool(CondVar*, Mutex*, Time), this, mutex, deadline);
}
bool CondVar::WaitWithTimeout(Mutex* mutex, Duration timeout) {
  const Waiting waiting(mutex);
  return CMK_NEXT("_ZN4absl7debian37CondVar15WaitWithTimeoutEPNS0_5MutexENS0_8DurationE",
                  bool(CondVar*, Mutex*, Duration), this, mutex, timeout);
}

// The flag of a notification lies behind its mutex, and HasBeenNotified, which is inline, loads it.
void Notification::Notify() {
  __tsan_release(this);
  __tsan_release(reinterpret_cast<char*>(this) + sizeof(Mutex));
  CMK_NEXT("_ZN4absl7debian312Notification6NotifyEv", void(Notification*), this);
}
void Notification::WaitForNotification() const {
  CMK_NEXT("_ZNK4absl7debian312Notification19WaitForNotificationEv", void(const Notification*),
           this);
  __tsan_acquire(const_cast<Notification*>(this));
}
bool Notification::WaitForNotificationWithTimeout(Duration timeout) const {
  const bool notified =
      CMK_NEXT("_ZNK4absl7debian312Notification30WaitForNotificationWithTimeoutENS0_8DurationE",
               bool(const Notification*, Duration), this, timeout);
  if (notified) __tsan_acquire(const_cast<Notification*>(this));
  return notified;
}

bool Notification::WaitForNotificationWithDeadline(Time deadline) const {
  const bool notified =
      CMK_NEXT("_ZNK4absl7debian312Notification31WaitForNotificationWithDeadlineENS0_4TimeE",
               bool(const Notification*, Time), this, deadline);
  if (notified) __tsan_acquire(const_cast<Notification*>(this));
  return notified;
}

bool BlockingCounter::DecrementCount() {
  __tsan_release(this);
  return CMK_NEXT("_ZN4absl7debian315BlockingCounter14DecrementCountEv", bool(BlockingCounter*),
                  this);
}
void BlockingCounter::Wait() {
  CMK_NEXT("_ZN4absl7debian315BlockingCounter4WaitEv", void(BlockingCounter*), this);
  __tsan_acquire(this);
}

ABSL_NAMESPACE_END
}  // namespace absl
