#include "service/admin_http_server.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <deque>
#include <functional>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"

namespace cmkstore::service {
namespace {

constexpr int kThreads = 16;
constexpr absl::Duration kToRead = absl::Seconds(1);
constexpr absl::Duration kToWrite = absl::Seconds(5);
constexpr size_t kBufferBytes = 4096;
// httplib itself keeps whatever comes before a line ends.
constexpr size_t kMaxRequestBytes = 16u << 10;
constexpr size_t kMaxWaiting = 256;

// Of the connection that this thread serves: when it was accepted.
thread_local absl::Time accepted_at;

// Whether the connection is ready for `events` before `deadline`; behind it, whether it is now.
bool Ready(socket_t connection, short events, absl::Time deadline) {
  if (deadline == absl::InfinitePast()) return false;  // one to be closed
  const absl::Duration left = std::max(deadline - absl::Now(), absl::ZeroDuration());
  pollfd wanted{connection, events, 0};
  return poll(&wanted, 1, static_cast<int>(absl::ToInt64Milliseconds(left))) > 0;
}

class BoundedStream final : public httplib::Stream {
 public:
  BoundedStream(socket_t connection, absl::Time accepted)
      : connection_(connection),
        read_by_(accepted + kToRead),
        written_by_(accepted + kToRead + kToWrite) {}

  bool is_readable() const override { return next_ < end_ || Ready(connection_, POLLIN, read_by_); }
  bool is_writable() const override { return Ready(connection_, POLLOUT, written_by_); }
  ssize_t read(char* into, size_t size) override {
    if (next_ == end_) {
      if (received_ >= kMaxRequestBytes || !is_readable()) return -1;
      const ssize_t got = recv(connection_, buffer_.data(), buffer_.size(), 0);
      if (got <= 0) return got;
      received_ += static_cast<size_t>(got);
      next_ = 0;
      end_ = static_cast<size_t>(got);
    }
    const size_t taken = std::min(size, end_ - next_);
    std::copy_n(buffer_.begin() + static_cast<std::ptrdiff_t>(next_), taken, into);
    next_ += taken;
    return static_cast<ssize_t>(taken);
  }
  ssize_t write(const char* from, size_t size) override {
    return is_writable() ? send(connection_, from, size, MSG_NOSIGNAL | MSG_DONTWAIT) : -1;
  }
  // Nobody asks who called.
  void get_remote_ip_and_port(std::string& ip, int& port) const override { ip.clear(), port = 0; }
  void get_local_ip_and_port(std::string& ip, int& port) const override { ip.clear(), port = 0; }
  socket_t socket() const override { return connection_; }

 private:
  const socket_t connection_;
  const absl::Time read_by_, written_by_;
  std::array<char, kBufferBytes> buffer_;
  size_t next_ = 0, end_ = 0;
  size_t received_ = 0;
};

class NewestFirst final : public httplib::TaskQueue {
 public:
  NewestFirst() {
    for (int i = 0; i < kThreads; ++i) threads_.emplace_back([this] { Serve(); });
  }
  void enqueue(std::function<void()> serve) override {
    std::function<void()> oldest;
    {
      absl::MutexLock lock(&mutex_);
      waiting_.emplace_back(absl::Now(), std::move(serve));
      if (waiting_.size() > kMaxWaiting) {
        oldest = std::move(waiting_.front().second);
        waiting_.pop_front();
      }
    }
    accepted_at = absl::InfinitePast();
    if (oldest) oldest();  // closes it
  }
  void shutdown() override {
    {
      absl::MutexLock lock(&mutex_);
      stopped_ = true;
    }
    for (std::thread& thread : threads_) thread.join();
  }

 private:
  // Those that waited too long are still run: one whose request has come whole is answered, the
  // others find out at once, and close.
  void Serve() {
    for (;;) {
      std::function<void()> serve;
      {
        absl::MutexLock lock(&mutex_);
        const auto has_work = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
          return stopped_ || !waiting_.empty();
        };
        mutex_.Await(absl::Condition(&has_work));
        if (waiting_.empty()) return;
        std::tie(accepted_at, serve) = std::move(waiting_.back());
        waiting_.pop_back();
      }
      serve();
    }
  }

  absl::Mutex mutex_;
  std::deque<std::pair<absl::Time, std::function<void()>>> waiting_ ABSL_GUARDED_BY(mutex_);
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace

AdminHttpServer::AdminHttpServer() {
  new_task_queue = [] { return new NewestFirst; };
}

bool AdminHttpServer::process_and_close_socket(socket_t connection) {
  BoundedStream stream(connection, accepted_at);
  bool closes = true;
  const bool served = process_request(stream, /*close_connection=*/true, closes, nullptr);
  ::shutdown(connection, SHUT_RDWR);
  ::close(connection);
  return served;
}

}  // namespace cmkstore::service
