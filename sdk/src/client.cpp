#include "sdk/src/client.h"

#include <system_error>

#include "node/state/key_file.h"
#include "sdk/src/client_impl.h"

namespace shoal {
namespace {

constexpr std::uint64_t kReceiptCredit = 8 << 20;
constexpr std::chrono::milliseconds kFarewell{2'000};
constexpr std::chrono::milliseconds kSettleAfter{1'000};

ClientError state_error(std::string what) {
  return {ClientError::Kind::kState, std::nullopt, std::move(what)};
}

}  // namespace

void Client::Impl::hear(SubmitNews news) {
  {
    std::lock_guard lock(mutex);
    for (SubmitterAction& one : news) hear_one(one);
  }
  changed.notify_all();
  for (SubmitterAction& one : news) {
    if (const auto* line = std::get_if<Notice>(&one); line != nullptr && notice) {
      notice(line->text);
    } else if (auto* stewards = std::get_if<StewardsChanged>(&one)) {
      {
        std::lock_guard lock(book_mutex);
        changes.insert_or_assign(stewards->job, std::move(*stewards));
      }
      book_changed();
    } else if (const auto* peer = std::get_if<PeerMet>(&one)) {
      {
        std::lock_guard lock(book_mutex);
        met.push_back(peer->peer);
      }
      book_changed();
    }
  }
}

void Client::Impl::hear_one(SubmitterAction& news) {
  if (auto* ready = std::get_if<ReceiptReady>(&news)) {
    Desk& desk = desks[ready->job];
    desk.last_number = ready->number;
    desk.receipts.push_back(std::move(ready->receipt));
  } else if (auto* bad = std::get_if<ReceiptBad>(&news)) {
    desks[bad->job].complaints.push_back(std::move(bad->what));
  } else if (auto* accepted = std::get_if<JobAccepted>(&news)) {
    desks[accepted->job].accepted = std::move(*accepted);
  } else if (auto* refused = std::get_if<JobRefused>(&news)) {
    closing.erase(refused->job);
    desks[refused->job].refused = std::move(*refused);
  } else if (auto* closed = std::get_if<JobClosed>(&news)) {
    const auto it = closing.find(closed->job);
    if (it != closing.end() && !it->second) {
      desks.erase(closed->job);
    } else {
      desks[closed->job].closed = closed->snapshot;
    }
    if (it != closing.end()) closing.erase(it);
  } else if (auto* output = std::get_if<OutputReady>(&news)) {
    outputs[output->content] = std::move(output->error);
  } else if (auto* fetched = std::get_if<ContentReady>(&news)) {
    fetches[fetched->content].error = std::move(fetched->error);
  } else if (auto* under_way = std::get_if<ContentUnderWay>(&news)) {
    fetches[under_way->content].news = under_way->progress;
  } else if (auto* status = std::get_if<StatusReady>(&news)) {
    auto& answer = statuses[status->job];
    ++answer.count;
    answer.last = std::move(status->jobs);
  } else if (auto* seen = std::get_if<WorkersReady>(&news)) {
    ++workers.count;
    workers.last = std::move(*seen);
  }
}

void Client::Impl::book_changed() {
  {
    std::lock_guard lock(book_mutex);
    book_dirty = true;
  }
  book_changed_.notify_one();
}

// Under the lock. Without them a job is still found, by asking around: a full disk is no failure.
void Client::Impl::write_changes() {
  for (const auto& [job, change] : std::exchange(changes, {})) {
    if (!book.find(job).manifest) continue;  // it was closed meanwhile
    static_cast<void>(book.remember_stewards(job, change.stewards, change.terms));
  }
}

void Client::Impl::keep_settling() {
  std::unique_lock lock(book_mutex);
  for (;;) {
    book_changed_.wait(lock, [this] { return book_dirty || ending; });
    // A little later and all at once: not to be in the way of the job that was just submitted.
    book_changed_.wait_for(lock, kSettleAfter, [this] { return ending; });
    book_dirty = false;
    write_changes();
    const auto files = book.take_unsettled();
    const auto newly_met = std::exchange(met, {});
    const bool last = ending;
    lock.unlock();
    for (const Ticket::Door& peer : newly_met) peers.met(peer);
    static_cast<void>(peers.save());  // what may be lost are short cuts
    JobBook::settle(files);
    if (last) return;
    lock.lock();
  }
}

Client::Client() = default;

ClientResult<std::unique_ptr<Client>> Client::open(ClientConfig config) {
  if (const auto made = make_private_folder(config.state); !made) {
    return tl::unexpected(state_error(made.error().what + "; XDG_STATE_HOME moves it"));
  }
  auto key = load_or_create_key(config.state / "submitter.key");
  if (!key) return tl::unexpected(state_error(key.error().what));
  auto content = ContentStore::open(config.state / "content");
  if (!content) return tl::unexpected(state_error(content.error().what));

  std::unique_ptr<Client> client(new Client());
  // Two processes with one key take the links from each other; and who shares for hours needs none
  // that anybody knows.
  client->impl_ = std::make_unique<Impl>(config.shares ? new_key() : std::move(key->key),
                                         config.state, config.ticket.pool);
  Impl& impl = *client->impl_;
  impl.content = std::move(*content);
  impl.notice = std::move(config.notice);
  std::vector<Ticket::Door> remembered = impl.peers.peers();
  impl.settler = std::thread([&impl] { impl.keep_settling(); });
  auto loop = SubmitLoop::start(
      config.ticket, std::move(remembered), impl.key, impl.checker, *impl.content,
      [&impl](SubmitNews news) { impl.hear(std::move(news)); }, config.shares);
  if (!loop) {
    return tl::unexpected(
        ClientError{ClientError::Kind::kNetwork, std::nullopt, loop.error().what});
  }
  impl.loop = std::move(*loop);
  return client;
}

Client::~Client() {
  if (!impl_) return;
  if (impl_->loop) {
    std::unique_lock lock(impl_->mutex);
    static_cast<void>(impl_->wait(lock, kFarewell, [this] { return impl_->closing.empty(); }));
  }
  impl_->loop.reset();
  {
    std::lock_guard lock(impl_->book_mutex);
    impl_->ending = true;
  }
  impl_->book_changed_.notify_one();
  impl_->settler.join();
}

const KeyPair& Client::key() const { return impl_->key; }
ContentStore& Client::content() { return *impl_->content; }

JobBook::Entry Client::remembered(const JobId& job) {
  std::lock_guard lock(impl_->book_mutex);
  return impl_->book.find(job);
}
std::vector<JobId> Client::matching(std::string_view hex_prefix) {
  std::lock_guard lock(impl_->book_mutex);
  return impl_->book.matching(hex_prefix);
}
void Client::forget(const JobId& job) {
  std::lock_guard lock(impl_->book_mutex);
  impl_->book.forget(job);
}

Signed Client::sign(Manifest manifest) const {
  manifest.submitter = impl_->key.id();
  return sign_fact(impl_->key, Purpose::kManifest, encode(manifest));
}

ClientResult<JobAccepted> Client::Impl::wait_accepted(const JobId& job, Patience patience) {
  std::unique_lock lock(mutex);
  Desk& desk = desks[job];
  auto waited = wait(lock, patience, [&] { return desk.accepted || desk.refused; });
  if (!waited) return tl::unexpected(waited.error());
  if (desk.refused) {
    ClientError error{ClientError::Kind::kRefused, desk.refused->why, desk.refused->what};
    desks.erase(job);
    return tl::unexpected(std::move(error));
  }
  return *desk.accepted;
}

void Client::Impl::remember(const JobAccepted& accepted) {
  {
    std::lock_guard lock(book_mutex);
    if (accepted.manifest) static_cast<void>(book.remember(accepted.job, *accepted.manifest));
    changes.erase(accepted.job);
    static_cast<void>(book.remember_stewards(accepted.job, accepted.stewards, accepted.terms));
  }
  book_changed();
}

ClientResult<JobAccepted> Client::submit(const Signed& manifest, const Handover& how,
                                         Patience patience) {
  const JobId job = job_id_of(manifest.body);
  impl_->clear_desk(job);
  impl_->loop->post(SubmitJob{manifest, how.wait_for_quorum, how.stewards});
  if (how.receipts) impl_->loop->post(WantReceipts{job, kReceiptCredit});
  // While the manifest travels.
  Result<void, StateError> written;
  {
    std::lock_guard lock(impl_->book_mutex);
    written = impl_->book.remember(job, manifest);
  }
  impl_->book_changed();
  auto accepted = impl_->wait_accepted(job, patience);
  if (!accepted) {
    if (accepted.error().kind == ClientError::Kind::kRefused) forget(job);
    return accepted;
  }
  // The job runs, but nobody could ever come back to it: stop it rather than lose it.
  if (!written) {
    static_cast<void>(control(job, ControlCommand::kCancel));
    return tl::unexpected(state_error(written.error().what));
  }
  impl_->remember(*accepted);
  return accepted;
}

ClientResult<JobAccepted> Client::attach(const JobId& job, bool receipts, Patience patience) {
  const JobBook::Entry entry = remembered(job);
  impl_->clear_desk(job);
  impl_->loop->post(AttachJob{job, entry.manifest, entry.stewards, entry.terms});
  if (receipts) impl_->loop->post(WantReceipts{job, kReceiptCredit});
  auto accepted = impl_->wait_accepted(job, patience);
  if (accepted && (accepted->manifest || accepted->stewards != entry.stewards ||
                   accepted->terms != entry.terms)) {
    impl_->remember(*accepted);
  }
  return accepted;
}

ClientResult<std::vector<Receipt>> Client::next_receipts(const JobId& job, Patience patience) {
  std::vector<Receipt> taken;
  std::uint64_t number = 0;
  {
    std::unique_lock lock(impl_->mutex);
    auto& desk = impl_->desks[job];
    auto waited = impl_->wait(lock, patience,
                              [&] { return !desk.receipts.empty() || desk.refused.has_value(); });
    if (!waited) return tl::unexpected(waited.error());
    if (desk.receipts.empty()) {
      return tl::unexpected(
          ClientError{ClientError::Kind::kRefused, desk.refused->why, desk.refused->what});
    }
    taken.assign(std::make_move_iterator(desk.receipts.begin()),
                 std::make_move_iterator(desk.receipts.end()));
    desk.receipts.clear();
    number = desk.last_number;
  }
  impl_->loop->post(TakenReceipts{job, number});
  return taken;
}

std::vector<std::string> Client::take_complaints(const JobId& job) {
  std::lock_guard lock(impl_->mutex);
  const auto it = impl_->desks.find(job);
  return it == impl_->desks.end() ? std::vector<std::string>{}
                                  : std::exchange(it->second.complaints, {});
}

void Client::want_output(const JobId& job, const ContentId& output, std::uint64_t length,
                         const std::vector<NodeId>& holders) {
  {
    std::lock_guard lock(impl_->mutex);
    const auto [it, added] = impl_->outputs.try_emplace(output);
    const bool failed = it->second && !it->second->empty();
    if (!added && !failed) return;  // under way, or here
    it->second.reset();
  }
  impl_->loop->post(WantOutput{job, output, length, holders});
}

ClientResult<void> Client::wait_output(const ContentId& output, Patience patience) {
  std::unique_lock lock(impl_->mutex);
  auto& error = impl_->outputs[output];
  auto waited = impl_->wait(lock, patience, [&] { return error.has_value(); });
  if (!waited) return waited;
  if (!error->empty()) {
    return tl::unexpected(ClientError{ClientError::Kind::kRefused, std::nullopt, *error});
  }
  return {};
}

void Client::drop_output(const ContentId& output) {
  {
    std::lock_guard lock(impl_->mutex);
    impl_->outputs.erase(output);
  }
  impl_->content->drop(output);
}

void Client::Impl::drop_inputs(const JobBook::Entry& entry) {
  const auto inputs_of = [](const JobBook::Entry& e) -> std::optional<ContentId> {
    if (!e.manifest) return std::nullopt;
    const auto manifest = decode_manifest(e.manifest->body);
    return manifest ? manifest->inputs : std::nullopt;
  };
  const auto inputs = inputs_of(entry);
  if (!inputs) return;
  for (const JobId& other : book.jobs()) {
    if (inputs_of(book.find(other)) == inputs) return;
  }
  content->drop(*inputs);
}

void Client::Impl::close(const JobId& job, bool wait_for_it) {
  {
    std::lock_guard lock(mutex);
    closing[job] = wait_for_it;
  }
  loop->post(CloseJob{job});
  std::lock_guard lock(book_mutex);
  const JobBook::Entry entry = book.find(job);
  book.forget(job);
  changes.erase(job);
  drop_inputs(entry);
}

void Client::close_later(const JobId& job) { impl_->close(job, false); }

ClientResult<Snapshot> Client::close(const JobId& job, Patience patience) {
  impl_->close(job, true);
  std::unique_lock lock(impl_->mutex);
  auto& desk = impl_->desks[job];
  auto waited = impl_->wait(lock, patience, [&] { return desk.closed || desk.refused; });
  if (!waited) return tl::unexpected(waited.error());
  if (!desk.closed) {
    return tl::unexpected(
        ClientError{ClientError::Kind::kRefused, desk.refused->why, desk.refused->what});
  }
  const Snapshot snapshot = *desk.closed;
  impl_->desks.erase(job);
  return snapshot;
}

void Client::interrupt() {
  {
    std::lock_guard lock(impl_->mutex);
    impl_->interrupted = true;
  }
  impl_->changed.notify_all();
}

}  // namespace shoal
