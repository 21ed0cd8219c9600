#include "worker/core/custody.h"

#include <algorithm>
#include <iterator>

#include "node/protocol/receipt_check.h"
#include "node/protocol/terms.h"
#include "worker/core/admission.h"
#include "worker/core/copy_book.h"

namespace shoal {
namespace {

constexpr char kRefused[] = "its owner refuses it";
constexpr std::size_t kPartsMax = limits::kJobsKnown + limits::kJobsLed;
constexpr std::size_t kCopyingMax = 16;    // requests taken on at once
constexpr std::size_t kFetchedAtOnce = 8;  // contents of one of them
constexpr std::size_t kGoingAtOnce = 256;  // contents that go in one step: each is a few unlinks
constexpr Duration kGoOnAfter = 10ms;
constexpr UnixMs kLookAgainMs = 60'000;  // at a job that is still kept when its time ends

Bytes joined(const std::vector<ContentId>& ids) {
  Bytes bytes;
  bytes.reserve(32 * ids.size());
  for (const ContentId& id : ids) bytes.insert(bytes.end(), id.bytes.begin(), id.bytes.end());
  return bytes;
}

void append_ids(ByteView bytes, std::vector<ContentId>& ids) {
  for (; bytes.size() >= 32; bytes = bytes.subspan(32)) {
    if (const auto id = ContentId::from_bytes(bytes.first(32))) ids.push_back(*id);
  }
}

std::vector<ContentName> large_outputs_of(const Receipt& receipt) {
  std::vector<ContentName> contents;
  std::size_t large = 0;
  for (const std::uint64_t size : receipt.outputs.sizes) {
    if (size <= limits::kInlineOutputBytes || large >= receipt.outputs.large.size()) continue;
    contents.push_back({receipt.outputs.large[large++], size});
  }
  return contents;
}

}  // namespace

Custody::Custody(const PeerConfig& config, const SignatureChecker& checker, const NodeId& self)
    : config_(config), checker_(checker), self_(self) {}

void Custody::recover(const std::vector<StoredFact>& facts) {
  for (const StoredFact& fact : facts) {
    if (fact.kind != FactKind::kPart || parts_.size() >= kPartsMax) continue;
    if (auto manifest = unpack_signed(fact.bytes)) parts_[fact.job].manifest = std::move(*manifest);
  }
  for (const StoredFact& fact : facts) {
    const auto found = parts_.find(fact.job);
    if (found == parts_.end()) continue;
    if (fact.kind == FactKind::kMade || fact.kind == FactKind::kCopied) {
      facts_written_ = std::max(facts_written_, fact.sequence);
      Part& part = found->second;
      append_ids(fact.bytes, fact.kind == FactKind::kMade ? part.made : part.copied);
    } else if (fact.kind == FactKind::kPartEnds) {
      set_end(fact.job, found->second, static_cast<UnixMs>(fact.sequence));
    }
  }
  unsaved_.clear();  // all of it came from there
}

void Custody::on_started(const Busy& busy) {
  for (const auto& [job, part] : parts_) {
    if (part.until == 0 && !busy(job)) over_.insert(job);
  }
}

void Custody::take_part(const JobId& job, const Signed& manifest) {
  if (parts_.contains(job) || parts_.size() >= kPartsMax) return;
  parts_[job].manifest = manifest;
  unsaved_.push_back(StoredFact{.kind = FactKind::kPart,
                                .job = job,
                                .sequence = 0,
                                .about = {},
                                .bytes = pack_signed(manifest)});
}

void Custody::made(const JobId& job, const std::vector<ContentId>& outputs) {
  const auto found = parts_.find(job);
  if (found == parts_.end() || outputs.empty()) return;
  for (const ContentId& id : outputs) {
    found->second.made.push_back(id);
    going_.erase(id);
  }
  unsaved_.push_back(StoredFact{.kind = FactKind::kMade,
                                .job = job,
                                .sequence = ++facts_written_,
                                .about = {},
                                .bytes = joined(outputs)});
}

void Custody::over(const JobId& job, std::optional<UnixMs> until) {
  const auto found = parts_.find(job);
  if (found == parts_.end()) return;
  if (until) {
    set_end(job, found->second, *until);
  } else {
    over_.insert(job);
  }
}

// The later one of several counts: each says until when somebody may ask for it.
void Custody::set_end(const JobId& job, Part& part, UnixMs until) {
  if (until <= part.until) return;
  ends_.erase({part.until, job});
  part.until = until;
  ends_.insert({until, job});
  unsaved_.push_back(StoredFact{.kind = FactKind::kPartEnds,
                                .job = job,
                                .sequence = static_cast<std::uint64_t>(until),
                                .about = {},
                                .bytes = {}});
}

// --- copies

Custody::Wish Custody::wish_of(const NodeId& from, const Keep& keep) const {
  Wish wish;
  const auto no = [&](std::string why) {
    wish.objection = std::move(why);
    return std::move(wish);
  };
  Receipt receipt;
  if (!keep.receipt.empty()) {
    auto decoded = decode_receipt(keep.receipt);
    if (!decoded) return no("the receipt is unreadable: " + decoded.error().what);
    receipt = std::move(*decoded);
    if (!receipt.outputs.large.empty()) wish.output = CopyBook::name_of(receipt.outputs.large);
  }
  const auto part = parts_.find(keep.job);
  if (part == parts_.end()) return no("this worker has no part in the job");
  const Signed& manifest = part->second.manifest;
  const auto what = decode_manifest(manifest.body);
  if (!what) return no("its manifest is unreadable");
  const auto term = term_in_force(keep.terms, keep.job, manifest.signer, checker_);
  if (!term || !is_steward(*term, from)) return no("you are no steward of it");
  if (keep.receipt.empty()) {
    wish.contents = contents_of(*what);
    return wish;
  }
  if (receipt.end != UnitEnd::kVerified) return no("the receipt is of no result");
  const std::string fault = receipt_fault(*what, keep.job, receipt, checker_);
  if (!fault.empty()) return no("the receipt does not hold: " + fault);
  wish.contents = large_outputs_of(receipt);
  for (const ContentName& content : wish.contents) {
    if (config_.refused.contents.contains(content.id)) return no(kRefused);
  }
  return wish;
}

void Custody::on_keep(const NodeId& from, const Keep& keep, Outbox& out) {
  const Wish wish = wish_of(from, keep);
  Copying copying{.job = keep.job, .output = wish.output, .asker = from, .error = wish.objection};
  const auto again = std::find_if(copying_.begin(), copying_.end(), [&](const Copying& other) {
    return other.job == keep.job && other.output == copying.output && other.asker == from;
  });
  if (copying.error.empty()) {
    if (again != copying_.end()) return;  // it is answered when it is done
    if (copying_.size() >= kCopyingMax) copying.error = "this worker makes enough copies already";
  }
  if (!copying.error.empty()) return answer(copying, out);
  for (const Signed& holder : keep.holders) copying.sources.push_back(holder.signer);
  copying.waiting.assign(wish.contents.begin(), wish.contents.end());
  copying_.push_back(std::move(copying));
  if (copying_.back().waiting.empty()) write_down(copying_.back());
  fetch_more(copying_.back());
}

void Custody::fetch_more(Copying& copying) {
  while (!copying.waiting.empty() && copying.fetching.size() < kFetchedAtOnce) {
    const ContentName content = copying.waiting.front();
    copying.waiting.pop_front();
    going_.erase(content.id);
    if (!copying.fetching.insert(content.id).second) continue;
    needs_.push_back({content.id, content.length, copying.sources});
  }
}

void Custody::on_content(const ContentId& id, const std::string& error) {
  for (Copying& copying : copying_) {
    if (copying.fetching.erase(id) == 0) continue;
    if (error.empty()) {
      copying.here.push_back(id);
    } else {
      copying.error = error;
      copying.waiting.clear();
    }
    fetch_more(copying);
    if (copying.fetching.empty() && copying.waiting.empty()) write_down(copying);
  }
}

// Also of one that failed: what has come of it is here, and must go some day.
void Custody::write_down(Copying& copying) {
  // Once: it may be asked for again and again.
  std::set<ContentId> known;
  if (const auto part = parts_.find(copying.job); part != parts_.end()) {
    known.insert(part->second.made.begin(), part->second.made.end());
    known.insert(part->second.copied.begin(), part->second.copied.end());
  }
  std::vector<ContentId> fresh;
  std::copy_if(copying.here.begin(), copying.here.end(), std::back_inserter(fresh),
               [&](const ContentId& id) { return !known.contains(id); });
  copying.known = fresh.empty();
  if (copying.known) return;
  copying.written = ++facts_written_;
  unsaved_.push_back(StoredFact{.kind = FactKind::kCopied,
                                .job = copying.job,
                                .sequence = copying.written,
                                .about = {},
                                .bytes = joined(fresh)});
}

void Custody::on_stored(const std::vector<StoredFact>& facts, const std::string& error,
                        Outbox& out) {
  for (const StoredFact& fact : facts) {
    if (fact.kind != FactKind::kCopied) continue;
    const auto done = std::find_if(copying_.begin(), copying_.end(), [&](const Copying& copying) {
      return copying.written == fact.sequence;
    });
    if (done == copying_.end()) continue;
    if (const auto part = parts_.find(fact.job); part != parts_.end()) {
      append_ids(fact.bytes, part->second.copied);
    }
    if (done->error.empty()) done->error = error;
    answer(*done, out);
    copying_.erase(done);
  }
}

void Custody::answer(const Copying& copying, Outbox& out) {
  out.send(copying.asker, Kept{.job = copying.job,
                               .output = copying.output,
                               .holder = self_,
                               .held = copying.error.empty(),
                               .detail = copying.error});
}

// --- what the owner refuses

void Custody::reconsider(const std::vector<NodeId>& tell, Outbox& out) {
  const auto refused = [&](const ContentId& id) { return config_.refused.contents.contains(id); };
  for (auto& [job, part] : parts_) {
    const auto what = decode_manifest(part.manifest.body);
    if (!what) continue;
    if (objection_of_owner(config_, part.manifest.signer, *what)) {
      end_now(job, part, out);
      continue;
    }
    std::set<ContentId> gone;
    for (auto* list : {&part.made, &part.copied}) {
      std::copy_if(list->begin(), list->end(), std::inserter(gone, gone.end()), refused);
      std::erase_if(*list, refused);
    }
    for (Copying& copying : copying_) {
      if (copying.job == job && std::erase_if(copying.here, refused) > 0) {
        copying.error = kRefused;
      }
    }
    for (const ContentId& id : gone) {
      const Kept none{.job = job, .output = id, .holder = self_, .held = false, .detail = kRefused};
      for (const NodeId& node : tell) out.send(node, none);
    }
  }
}

// Its time is over, whatever the manifest says. Also on the disk of one that was not running when
// its owner made up his mind.
void Custody::end_now(const JobId& job, Part& part, Outbox& out) {
  constexpr UnixMs kLongAgo = 1;
  ends_.erase({part.until, job});
  part.until = kLongAgo;
  ends_.insert({part.until, job});
  over_.erase(job);
  std::erase_if(copying_, [&](Copying& copying) {
    if (copying.job != job) return false;
    copying.error = "its owner refuses the job";
    answer(copying, out);
    return true;
  });
  const Erase erase{.job = job, .what = Erase::What::kWorked};
  std::erase_if(unsaved_, [&](const StoredFact& fact) { return covers(erase, fact); });
  out.erase(erase);
}

// --- the end of a job's time

void Custody::advance(Instant now, const Busy& busy,
                      const std::function<std::set<ContentId>()>& needed, Outbox& out) {
  for (const JobId& job : std::exchange(over_, {})) {
    const auto part = parts_.find(job);
    if (part == parts_.end()) continue;
    const auto what = decode_manifest(part->second.manifest.body);
    const std::uint64_t keep_s = what ? what->keep_s : limits::kResultsKeptS;
    set_end(job, part->second, unix_ms(now) + static_cast<UnixMs>(keep_s) * 1000);
  }
  std::erase_if(copying_, [&](const Copying& copying) {
    if (copying.known) answer(copying, out);
    return copying.known;
  });
  if (go_on_at_ && *go_on_at_ <= now) go_on_at_.reset();
  while (!leaving_ && !ends_.empty() && ends_.begin()->first <= unix_ms(now)) {
    const JobId job = ends_.begin()->second;
    if (!busy(job)) {
      begin_letting_go(job);
      break;
    }
    Part& part = parts_.at(job);
    ends_.erase(ends_.begin());
    part.until = unix_ms(now) + kLookAgainMs;
    ends_.insert({part.until, job});
  }
  if (leaving_ && !go_on_at_) {
    let_go(needed, out);
    if (leaving_) go_on_at_ = now + kGoOnAfter;
  }
  for (StoredFact& fact : std::exchange(unsaved_, {})) out.store_soon(std::move(fact));
}

void Custody::begin_letting_go(const JobId& job) {
  const auto contents = [](const Part& part, std::set<ContentId>& all) {
    if (const auto what = decode_manifest(part.manifest.body)) {
      for (const ContentName& content : contents_of(*what)) all.insert(content.id);
    }
    all.insert(part.made.begin(), part.made.end());
    all.insert(part.copied.begin(), part.copied.end());
  };
  leaving_ = job;
  going_.clear();
  contents(parts_.at(job), going_);
  std::set<ContentId> of_others;
  for (const auto& [other, part] : parts_) {
    if (other != job) contents(part, of_others);
  }
  std::erase_if(going_, [&](const ContentId& id) { return of_others.contains(id); });
}

void Custody::let_go(const std::function<std::set<ContentId>()>& needed, Outbox& out) {
  const std::set<ContentId> still = going_.empty() ? std::set<ContentId>() : needed();
  for (std::size_t n = 0; n < kGoingAtOnce && !going_.empty(); ++n) {
    const ContentId id = *going_.begin();
    going_.erase(going_.begin());
    if (!still.contains(id)) out.act(DropContent{.id = id});
  }
  if (!going_.empty()) return;
  const auto part = parts_.find(*leaving_);
  ends_.erase({part->second.until, *leaving_});
  const Erase erase{.job = *leaving_, .what = Erase::What::kHeld};
  std::erase_if(unsaved_, [&](const StoredFact& fact) { return covers(erase, fact); });
  out.erase(erase);
  parts_.erase(part);
  leaving_.reset();
}

std::optional<Instant> Custody::next_deadline() const {
  std::optional<Instant> next;
  const auto consider = [&](std::optional<Instant> at) {
    if (at && (!next || *at < *next)) next = at;
  };
  consider(go_on_at_);
  if (!leaving_ && !ends_.empty()) {
    consider(Instant{(ends_.begin()->first - config_.unix_ms_at_zero) * 1'000'000});
  }
  return next;
}

void Custody::add_needed(std::set<ContentId>& needed) const {
  for (const auto& [job, part] : parts_) {
    if (leaving_ != job) needed.insert(part.copied.begin(), part.copied.end());
  }
  for (const Copying& copying : copying_) {
    needed.insert(copying.fetching.begin(), copying.fetching.end());
    needed.insert(copying.here.begin(), copying.here.end());
  }
}

void Custody::check_invariants() const {
  check(parts_.size() <= kPartsMax, "a node has a part in more jobs than the limit allows");
  check(copying_.size() <= kCopyingMax, "more copies are made than the limit allows");
  check(!leaving_ || parts_.contains(*leaving_), "contents of no job are going");
  for (const auto& [until, job] : ends_) {
    check(parts_.at(job).until == until, "the end of a job's time is misplaced");
  }
}

}  // namespace shoal
