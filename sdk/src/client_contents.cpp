#include "sdk/src/client_impl.h"

// Contents without a job: what `shoal put` and `shoal get` are made of.
namespace shoal {

void Client::share(const ContentName& content) {
  impl_->loop->post(ShareContent{content.id, content.length});
}

ClientResult<void> Client::fetch(const ContentName& content, ExchangeWait wait,
                                 const std::function<void(const ExchangeProgress&)>& progress) {
  {
    std::lock_guard lock(impl_->mutex);
    impl_->fetches[content.id] = {};
  }
  impl_->loop->post(FetchContent{.content = content.id, .length = content.length, .wait = wait});
  std::unique_lock lock(impl_->mutex);
  for (;;) {
    Impl::Fetch& fetch = impl_->fetches[content.id];
    auto waited = impl_->wait(lock, {}, [&] { return fetch.news || fetch.error; });
    if (!waited) return waited;
    if (fetch.error) {
      const std::string error = *fetch.error;
      impl_->fetches.erase(content.id);
      if (error.empty()) return {};
      return tl::unexpected(ClientError{ClientError::Kind::kRefused, std::nullopt, error});
    }
    const ExchangeProgress news = *std::exchange(fetch.news, std::nullopt);
    lock.unlock();
    if (progress) progress(news);
    lock.lock();
  }
}

}  // namespace shoal
