#include "worker/runtime/ledger_database.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <utility>

namespace shoal {

namespace {

constexpr int kApplicationId = 0x53484c31;  // "SHL1"
constexpr int kSchemaVersion = 1;
constexpr int kBusyMs = 5000;

constexpr const char* kSchema = R"(
BEGIN IMMEDIATE;
CREATE TABLE facts (
  kind     INTEGER NOT NULL,
  job      BLOB    NOT NULL,
  about    BLOB    NOT NULL,
  sequence INTEGER NOT NULL,
  bytes    BLOB    NOT NULL
) STRICT;
CREATE UNIQUE INDEX facts_by_name ON facts (kind, job, about, sequence);
PRAGMA user_version = 1;
COMMIT;
)";

constexpr const char* kInsert =
    "INSERT INTO facts (kind, job, about, sequence, bytes) VALUES (?1, ?2, ?3, ?4, ?5) "
    "ON CONFLICT (kind, job, about, sequence) DO UPDATE SET bytes = excluded.bytes";
constexpr const char* kErase = "DELETE FROM facts WHERE kind = ?1 AND job = ?2";
constexpr const char* kReceipts =
    "SELECT bytes FROM facts WHERE kind = ?1 AND job = ?2 AND about = ?3 AND sequence > ?4 "
    "ORDER BY sequence";
constexpr const char* kAllFacts =
    "SELECT kind, job, about, sequence, bytes FROM facts ORDER BY kind, job, about, sequence";

LedgerFault fault_of(int code) {
  switch (code & 0xff) {
    case SQLITE_FULL:
      return LedgerFault::kDiskFull;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_MISMATCH:
      return LedgerFault::kCorrupt;
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_AUTH:
      return LedgerFault::kNotWritable;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return LedgerFault::kInUse;
    default:
      // A read that found less than the file's header promises.
      return code == SQLITE_IOERR_SHORT_READ ? LedgerFault::kCorrupt : LedgerFault::kSystem;
  }
}

std::string advice_for(LedgerFault fault) {
  switch (fault) {
    case LedgerFault::kDiskFull:
      return "the disk is full: free some space there";
    case LedgerFault::kCorrupt:
      return "the ledger is damaged: bring back a copy of it, or move it away with its -wal file "
             "and start with an empty one (a job that other workers keep as well goes on there; "
             "one that this worker kept alone is lost, and its submitter has to submit it again)";
    case LedgerFault::kNotWritable:
      return "give yourself the permission, see whether it is mounted read-only, or choose another "
             "state folder";
    case LedgerFault::kTooNew:
      return "use that version again, or choose another state folder";
    case LedgerFault::kInUse:
      return "another program has it open: end that first";
    case LedgerFault::kSystem:
      return "see whether the disk is in order";
  }
  return "";
}

void bind_value(sqlite3_stmt* statement, int at, ByteView bytes) {
  // An empty vector's null pointer would bind NULL.
  const void* data = bytes.empty() ? static_cast<const void*>("") : bytes.data();
  sqlite3_bind_blob64(statement, at, data, bytes.size(), SQLITE_STATIC);
}

ByteView column_bytes(sqlite3_stmt* statement, int at) {
  const void* data = sqlite3_column_blob(statement, at);
  const int size = sqlite3_column_bytes(statement, at);
  return {static_cast<const std::uint8_t*>(data), static_cast<std::size_t>(size)};
}

// Puts a statement back to its begin on every way out, so that it holds no lock and no pointer.
struct ResetAtEnd {
  sqlite3_stmt* statement;
  ~ResetAtEnd() {
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
  }
};

bool is_fact_kind(std::int64_t kind) {
  return kind >= static_cast<int>(FactKind::kManifest) && kind <= static_cast<int>(kLastFactKind);
}

}  // namespace

LedgerError LedgerDatabase::error_of(int code, const char* doing) const {
  const LedgerFault fault = fault_of(code);
  const bool its_own = connection_ && sqlite3_extended_errcode(connection_.get()) == code;
  const char* reason = its_own ? sqlite3_errmsg(connection_.get()) : sqlite3_errstr(code);
  return {fault, std::string("cannot ") + doing + " the ledger " + file_.string() + " (" + reason +
                     "); " + advice_for(fault)};
}

Result<void, LedgerError> LedgerDatabase::run(const char* sql) {
  const int code = sqlite3_exec(connection_.get(), sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) {
    LedgerError error = error_of(sqlite3_extended_errcode(connection_.get()), "open");
    return tl::unexpected(std::move(error));
  }
  return {};
}

Result<LedgerDatabase::Statement, LedgerError> LedgerDatabase::prepare(const char* sql) {
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v3(connection_.get(), sql, -1, SQLITE_PREPARE_PERSISTENT,
                                      &statement, nullptr);
  if (code != SQLITE_OK) return tl::unexpected(error_of(code, "open"));
  return Statement(statement);
}

Result<std::int64_t, LedgerError> LedgerDatabase::number(const char* sql) {
  auto statement = prepare(sql);
  if (!statement) return tl::unexpected(statement.error());
  const int code = sqlite3_step(statement->get());
  if (code != SQLITE_ROW) return tl::unexpected(error_of(code, "read"));
  return sqlite3_column_int64(statement->get(), 0);
}

Result<void, LedgerError> LedgerDatabase::set_up() {
  const auto version = number("PRAGMA user_version");
  if (!version) return tl::unexpected(version.error());
  const auto application = number("PRAGMA application_id");
  if (!application) return tl::unexpected(application.error());
  const auto tables = number("SELECT count(*) FROM sqlite_schema");
  if (!tables) return tl::unexpected(tables.error());
  const bool empty = *version == 0 && *application == 0 && *tables == 0;
  if (!empty && *application != kApplicationId) {
    return tl::unexpected(LedgerError{
        LedgerFault::kCorrupt, file_.string() + " is a database of another program, not a ledger; "
                                                "move it away, or choose another state folder"});
  }
  if (*version > kSchemaVersion) {
    return tl::unexpected(LedgerError{
        LedgerFault::kTooNew, "the ledger " + file_.string() + " was written by a newer version (" +
                                  std::to_string(*version) + ", this one knows " +
                                  std::to_string(kSchemaVersion) + "); " +
                                  advice_for(LedgerFault::kTooNew)});
  }
  // Checkpoints come often enough for the log to be written over soon: where it grows, each commit
  // waits for the file system's journal as well.
  if (auto done = run("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; "
                      "PRAGMA wal_autocheckpoint = 1024; PRAGMA journal_size_limit = 67108864;");
      !done) {
    return done;
  }
  if (empty) {
    const std::string mark = "PRAGMA application_id = " + std::to_string(kApplicationId);
    if (auto done = run(mark.c_str()); !done) return done;
  }
  if (*version == 0) {
    if (auto done = run(kSchema); !done) return done;
  }
  // Reading works on a read-only mount; only trying tells whether writing does.
  if (auto done = run("BEGIN IMMEDIATE; PRAGMA user_version = 1; COMMIT;"); !done) return done;
  for (const auto& [statement, sql] :
       {std::pair{&begin_, "BEGIN IMMEDIATE"}, std::pair{&commit_, "COMMIT"},
        std::pair{&rollback_, "ROLLBACK"}, std::pair{&insert_, kInsert}, std::pair{&erase_, kErase},
        std::pair{&receipts_, kReceipts}}) {
    auto prepared = prepare(sql);
    if (!prepared) return tl::unexpected(prepared.error());
    *statement = std::move(*prepared);
  }
  return {};
}

Result<LedgerDatabase, LedgerError> LedgerDatabase::open(const std::filesystem::path& file) {
  LedgerDatabase database;
  database.file_ = file;
  const bool fresh = ::access(file.c_str(), F_OK) != 0;
  sqlite3* connection = nullptr;
  const int code = sqlite3_open_v2(
      file.c_str(), &connection,
      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
      nullptr);
  database.connection_.reset(connection);  // also to be closed where opening failed
  if (code != SQLITE_OK) return tl::unexpected(database.error_of(code, "open"));
  sqlite3_busy_timeout(connection, kBusyMs);
  ::chmod(file.c_str(), 0600);
  if (auto ready = database.set_up(); !ready) return tl::unexpected(ready.error());
  if (fresh) {
    // SQLite syncs the file, but nobody else syncs the name of a new one.
    const std::filesystem::path folder = file.has_parent_path() ? file.parent_path() : ".";
    const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
      ::fsync(fd);
      ::close(fd);
    }
  }
  return database;
}

Result<void, LedgerError> LedgerDatabase::insert(const StoredFact& fact) {
  sqlite3_stmt* statement = insert_.get();
  const ResetAtEnd reset{statement};
  sqlite3_bind_int(statement, 1, static_cast<int>(fact.kind));
  bind_value(statement, 2, fact.job.view());
  bind_value(statement, 3, fact.about.view());
  sqlite3_bind_int64(statement, 4, static_cast<sqlite3_int64>(fact.sequence));
  bind_value(statement, 5, fact.bytes);
  const int code = sqlite3_step(statement);
  if (code != SQLITE_DONE) return tl::unexpected(error_of(code, "write to"));
  return {};
}

Result<void, LedgerError> LedgerDatabase::erase(const Erase& what) {
  for (int kind = static_cast<int>(FactKind::kManifest); kind <= static_cast<int>(kLastFactKind);
       ++kind) {
    StoredFact sample;
    sample.kind = static_cast<FactKind>(kind);
    sample.job = what.job;
    if (!covers(what, sample)) continue;
    sqlite3_stmt* statement = erase_.get();
    const ResetAtEnd reset{statement};
    sqlite3_bind_int(statement, 1, kind);
    bind_value(statement, 2, what.job.view());
    const int code = sqlite3_step(statement);
    if (code != SQLITE_DONE) return tl::unexpected(error_of(code, "write to"));
  }
  return {};
}

Result<void, LedgerError> LedgerDatabase::write(const std::vector<LedgerWrite>& writes) {
  const auto step = [this](const Statement& statement) -> Result<void, LedgerError> {
    const ResetAtEnd reset{statement.get()};
    const int code = sqlite3_step(statement.get());
    if (code != SQLITE_DONE) return tl::unexpected(error_of(code, "write to"));
    return {};
  };
  Result<void, LedgerError> done = step(begin_);
  for (const LedgerWrite& write : writes) {
    if (const auto* gone = std::get_if<Erase>(&write)) {
      if (done) done = erase(*gone);
      continue;
    }
    for (const StoredFact& fact : std::get<Store>(write).facts) {
      if (done) done = insert(fact);
    }
  }
  if (done) done = step(commit_);
  // Some errors have rolled back already; a second time would only hide the first error's text.
  if (!done && sqlite3_get_autocommit(connection_.get()) == 0) (void)step(rollback_);
  return done;
}

Result<std::vector<Bytes>, LedgerError> LedgerDatabase::receipts(const LoadReceipts& wanted) {
  sqlite3_stmt* statement = receipts_.get();
  const ResetAtEnd reset{statement};
  const NodeId nobody;
  sqlite3_bind_int(statement, 1, static_cast<int>(FactKind::kReceipt));
  bind_value(statement, 2, wanted.job.view());
  bind_value(statement, 3, nobody.view());
  sqlite3_bind_int64(statement, 4, static_cast<sqlite3_int64>(wanted.after));
  std::vector<Bytes> receipts;
  std::size_t bytes = 0;
  int code = SQLITE_ROW;
  while ((receipts.empty() || bytes < wanted.bytes_max) &&
         (code = sqlite3_step(statement)) == SQLITE_ROW) {
    receipts.push_back(to_bytes(column_bytes(statement, 0)));
    bytes += receipts.back().size();
  }
  if (code != SQLITE_ROW && code != SQLITE_DONE) return tl::unexpected(error_of(code, "read"));
  return receipts;
}

Result<std::vector<StoredFact>, LedgerError> LedgerDatabase::all_facts() {
  auto statement = prepare(kAllFacts);
  if (!statement) return tl::unexpected(statement.error());
  std::vector<StoredFact> facts;
  int code = SQLITE_DONE;
  while ((code = sqlite3_step(statement->get())) == SQLITE_ROW) {
    const std::int64_t kind = sqlite3_column_int64(statement->get(), 0);
    const auto job = JobId::from_bytes(column_bytes(statement->get(), 1));
    const auto about = NodeId::from_bytes(column_bytes(statement->get(), 2));
    if (!is_fact_kind(kind) || !job || !about) {
      return tl::unexpected(error_of(SQLITE_CORRUPT, "read"));
    }
    facts.push_back({static_cast<FactKind>(kind), *job,
                     static_cast<std::uint64_t>(sqlite3_column_int64(statement->get(), 3)), *about,
                     to_bytes(column_bytes(statement->get(), 4))});
  }
  if (code != SQLITE_DONE) return tl::unexpected(error_of(code, "read"));
  return facts;
}

}  // namespace shoal
