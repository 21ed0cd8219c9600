#pragma once

#include <sqlite3.h>

#include <filesystem>
#include <memory>
#include <vector>

#include "worker/runtime/ledger_store.h"

// The ledger's tables and statements. One object is one connection, for one thread at a time.
namespace shoal {

class LedgerDatabase {
 public:
  // Creates the tables in an empty file; refuses a file of another kind or a newer version.
  static Result<LedgerDatabase, LedgerError> open(const std::filesystem::path& file);

  // All of it in one transaction, in order: all of it durable, or nothing.
  Result<void, LedgerError> write(const std::vector<LedgerWrite>& writes);
  Result<std::vector<Bytes>, LedgerError> receipts(const LoadReceipts&);
  Result<std::vector<StoredFact>, LedgerError> all_facts();
  const std::filesystem::path& file() const { return file_; }

 private:
  struct CloseConnection {
    void operator()(sqlite3* connection) const { sqlite3_close(connection); }
  };
  struct EndStatement {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };
  using Statement = std::unique_ptr<sqlite3_stmt, EndStatement>;

  LedgerDatabase() = default;
  LedgerError error_of(int code, const char* doing) const;
  Result<void, LedgerError> run(const char* sql);
  Result<std::int64_t, LedgerError> number(const char* sql);
  Result<Statement, LedgerError> prepare(const char* sql);
  Result<void, LedgerError> set_up();
  Result<void, LedgerError> insert(const StoredFact&);
  Result<void, LedgerError> erase(const Erase&);

  std::filesystem::path file_;
  // Above the statements: these end before it is closed.
  std::unique_ptr<sqlite3, CloseConnection> connection_;
  Statement begin_, commit_, rollback_, insert_, erase_, receipts_;
};

}  // namespace shoal
