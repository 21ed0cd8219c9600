#pragma once

#include <deque>
#include <map>
#include <set>
#include <string>
#include <unordered_map>

#include "node/link/accepted.h"
#include "node/link/bulk_window.h"
#include "node/link/connect_rates.h"
#include "node/link/endpoint.h"
#include "node/link/link.h"
#include "node/link/parts.h"
#include "node/link/resolver.h"
#include "node/link/sockets.h"

// The inside of Link. A *transport* is one connection; a *link* is what state machines see: a peer
// that has said Hello, over one transport, or over two where both sides dialled at the same moment.
// Each side always sends on one transport of its choice and listens to all, so order holds and
// neither has to guess which one the other keeps; when any transport of a link ends, the link ends.
namespace shoal {

using TransportId = std::uint64_t;

inline constexpr std::size_t kBacklogMessages = 65'536;  // of one peer, behind the high-water mark
inline constexpr std::size_t kBacklogBytes = 64ULL << 20;  // of one peer
inline constexpr std::size_t kBacklogBytesAll = 512ULL << 20;
// Handed to libzmq and not yet to the kernel: of one peer, of all, and of one peer beyond that.
inline constexpr std::uint64_t kHeldBytes = 4ULL << 20;
inline constexpr std::uint64_t kHeldBytesAll = 256ULL << 20;
inline constexpr std::uint64_t kHeldBytesFew = 64ULL << 10;
inline constexpr std::chrono::milliseconds kClosingGrace{250};
inline constexpr int kDropLingerMs = 1000;
inline constexpr std::size_t kProbesMax = 64;   // open at once
inline constexpr std::size_t kPunchesMax = 64;  // open or up, of those that greet first
inline constexpr std::size_t kMessagesPerWait = 512;
inline constexpr std::size_t kBytesPerWait = 16ULL << 20;

struct Transport {
  enum class State : std::uint8_t { kGreeting, kUp, kClosing };

  TransportId id = 0;
  Side side = Side::kIn;
  State state = State::kGreeting;
  std::string route;
  NodeId peer;           // its name; kOut: from the start
  NodeId node;           // whose key the other side holds; kOut: from the start
  std::string endpoint;  // kOut: as it was asked for
  std::string name;      // kOut: as libzmq knows it; empty while the host is looked up
  CurveKey curve_key;    // kIn: that the client has proven to hold
  std::optional<std::uint64_t> probe;  // kOut: no link is meant, only to say this number
  std::uint16_t punch_from = 0;        // kOut: the local port, where the peer dials as well
  int fd = -1;
  FarEnd far_end;
  SteadyTime deadline{};  // kGreeting: of the Hello; kClosing: of the connection
  std::uint64_t wire_in = 0;
  std::uint64_t held_bytes = 0;  // as far as we know: see refresh_held()
  std::uint64_t wire_out = 0;
  std::optional<std::uint64_t> bytes_read;  // kOut; see check_floods()
  std::deque<Bytes> backlog;
  std::size_t backlog_bytes = 0;  // of `bulk`, too
  // See link_bulk.cpp.
  std::deque<Bytes> bulk;
  std::size_t bulk_sent = 0;  // bytes of its front
  BulkWindow bulk_window;
  PartReader parts;
};

struct Link::Impl {
  Impl(LinkConfig c, std::size_t connections_max, const KeyPair& k, std::unique_ptr<Sockets> s);
  ~Impl();

  // --- link.cpp: what Link offers, and the loop ---
  void dial(const Dial&);
  void probe(const Probe&);
  void send(Send);
  void drop(const Drop&);
  std::vector<LinkEvent> wait(std::chrono::nanoseconds timeout, const std::vector<int>& fds,
                              std::vector<bool>& readable);
  void run_timers(SteadyTime now);
  SteadyTime next_timer(SteadyTime latest) const;
  void finish_ended();
  void retry_backlogs(SteadyTime now);

  // --- link_memory.cpp: what is in libzmq's hands, where no mark of its own bounds it ---
  void check_floods(SteadyTime now);
  void cut_floods();
  struct Flood {
    std::uint64_t unfinished = 0;  // bytes
    TransportId transport = 0;     // 0: of a connection that has not spoken yet
    int fd = -1;                   // kIn
    FarEnd far_end;
  };
  std::vector<Flood> take_suspects();
  bool has_room(Transport& t);
  void refresh_held(Transport& t);
  void forget_held(Transport& t);

  // --- link_bulk.cpp: what other messages must not wait for ---
  void send_bulk(Transport& t, Bytes bytes);
  bool pump_bulk(Transport& t, SteadyTime now);
  void read_part(Transport& t, ByteView frame);

  // --- link_events.cpp: what comes out of the sockets ---
  void accept(int fd, SteadyTime now);
  void read_events_in();
  void read_events_out();
  void read_zap();
  void read_names();
  // True: the socket was emptied.
  bool read_messages(Side);
  void read_message(Side, const Incoming&);
  Transport* transport_of(Side, const Incoming&);
  Transport* first_message(TransportId id, const Incoming&);
  // Ends the transport once all messages that came over it are told. `is_closed`: libzmq has closed
  // its connection, and no further event will tell of it.
  void ended(TransportId id, std::string why, bool is_closed, bool nobody_listens = false);

  // --- link_punches.cpp: both sides dial at once, and this one is the server ---
  void await_punch(const Dial&, const Endpoint&);
  void drop_punch(const Drop&);
  void punch_event(const ConnectionEvent&);
  void end_late_punches(SteadyTime now);
  void end_punch(const std::string& name, const std::string& why);
  bool is_punched(const Transport& t) const;

  // --- link_peers.cpp: greeting, links, transports ---
  void start_connection(Transport& t, const Endpoint&);
  void greet(const Transport& t);
  void read_greeting(Transport& t, ByteView payload);
  bool is_who_it_says(const Transport& t, const Hello& hello) const;
  void link_up(Transport& t, const Hello& hello);
  void refuse(Transport& t, RefusalReason reason, const std::string& detail);
  // By value: the peer's name may stand in a transport that this ends.
  void lose_link(NodeId peer, const std::string& why);
  void fail_dial(TransportId id, const std::string& why, bool nobody_listens = false);
  // Gives messages that were sent before a moment to leave, where `graceful`.
  void close(TransportId id, bool graceful);
  void erase(TransportId id);
  void forget_backlog(Transport& t);
  void send_or_keep(Transport& t, ByteView bytes);
  void stall(const Transport& t);
  // `head`: bytes before them, of the same message.
  SendOutcome send_now(Transport& t, ByteView bytes, ByteView head = {});
  bool take_key(const CurveKey& key);
  void release_key(const CurveKey& key);
  void forget_oldest_admitted();
  void tell_lost(const NodeId& peer, std::string why, bool nobody_listens = false);

  struct Peer {
    std::vector<TransportId> transports;  // the first is the one that we send on
    SteadyTime since{};
  };
  // A client that ZAP let in and that has not spoken yet.
  struct Admitted {
    CurveKey key;
    std::uint64_t newest_accepted = 0;
    SteadyTime since{};
  };
  struct Punch {
    NodeId peer;
    SteadyTime deadline{};
    int fd = -1;  // once it is connected
  };
  struct Ended {
    TransportId id = 0;
    std::string why;
    bool is_closed = false;
    bool nobody_listens = false;
  };

  LinkConfig config_;
  // Of both sides, those that have not spoken yet included.
  const std::size_t connections_max_;
  const KeyPair& key_;
  const NodeId name_;  // by which the others know this node, or this session of it
  std::unique_ptr<Sockets> sockets_;
  Resolver resolver_;
  std::optional<Signed> record_;

  std::unordered_map<TransportId, Transport> transports_;
  std::map<NodeId, Peer> peers_;
  std::map<NodeId, TransportId> dialing_;
  std::size_t probes_ = 0;
  std::map<std::string, Punch> punches_;  // by the name that libzmq has for it
  std::unordered_map<std::string, TransportId> names_;
  std::map<TransportId, Admitted> admitted_;
  // Of admitted clients and of inbound transports.
  std::map<CurveKey, std::size_t> connections_of_key_;
  Accepted accepted_;
  ConnectRates rates_;
  std::size_t outbound_ = 0;  // transports
  std::set<std::pair<SteadyTime, TransportId>> deadlines_;
  std::set<TransportId> stalled_;
  std::size_t backlog_bytes_ = 0;
  std::size_t unfinished_parts_ = 0;  // bytes
  std::uint64_t held_bytes_ = 0;
  SteadyTime next_retry_{};
  std::chrono::milliseconds retry_pause_{1};
  SteadyTime next_flood_check_{};
  bool suspects_ = false;
  int full_rounds_ = 0;
  std::vector<Ended> ended_;
  std::vector<LinkEvent> events_;
  std::uint64_t next_id_ = 1;
  std::uint64_t dial_serial_ = 0;
  Figures figures_;
};

}  // namespace shoal
