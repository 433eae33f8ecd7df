#include "base/worker.h"

#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include <utility>

namespace cmkstore {
namespace {

WorkerOptions WithBounds(WorkerOptions options) {
  if (options.threads_of_one == 0) options.threads_of_one = options.threads;
  if (options.max_queued_of_one == 0) options.max_queued_of_one = options.max_queued;
  return options;
}

}  // namespace

Worker::Worker(WorkerOptions options) : options_(WithBounds(std::move(options))) {
  threads_.reserve(options_.threads);
  for (size_t i = 0; i < options_.threads; ++i) {
    threads_.emplace_back([this] { Loop(); });
    pthread_setname_np(threads_.back().native_handle(), options_.name.substr(0, 15).c_str());
  }
}

Worker::~Worker() { Stop(); }

bool Worker::TryRunFor(const std::string& party, std::function<void()> task) {
  absl::MutexLock lock(&mutex_);
  if (stopped_ || queued_ >= options_.max_queued) return false;
  Line& line = lines_[party];  // a new one is never full
  if (line.waiting.size() >= options_.max_queued_of_one) return false;
  line.waiting.push_back(std::move(task));
  ++queued_;
  TakeTurn(party, line);
  return true;
}

void Worker::Stop() {
  {
    absl::MutexLock lock(&mutex_);
    stopped_ = true;
  }
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
}

bool Worker::HasTurnOrEnded() const { return !turns_.empty() || (stopped_ && queued_ == 0); }

void Worker::TakeTurn(const std::string& party, Line& line) {
  if (line.in_turn || line.waiting.empty() || line.running >= options_.threads_of_one) return;
  line.in_turn = true;
  turns_.push_back(party);
}

std::function<void()> Worker::AwaitNext(std::string& party) {
  absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(this, &Worker::HasTurnOrEnded));
  if (turns_.empty()) return nullptr;
  party = std::move(turns_.front());
  turns_.pop_front();
  Line& line = lines_[party];
  std::function<void()> task = std::move(line.waiting.front());
  line.waiting.pop_front();
  --queued_;
  ++line.running;
  line.in_turn = false;
  TakeTurn(party, line);
  return task;
}

void Worker::Ended(const std::string& party) {
  absl::MutexLock lock(&mutex_);
  Line& line = lines_[party];
  --line.running;
  TakeTurn(party, line);
  if (line.running == 0 && line.waiting.empty()) lines_.erase(party);
}

void Worker::Loop() {
  // Linux knows nice values by thread.
  if (options_.nice > 0) setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), options_.nice);
  std::string party;
  while (std::function<void()> task = AwaitNext(party)) {
    task();
    task = nullptr;  // what it holds goes before its place is free
    Ended(party);
  }
}

}  // namespace cmkstore
