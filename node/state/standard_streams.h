#pragma once

namespace shoal {

// A process may be started with its stdin, stdout or stderr closed. What it opens first would get
// their numbers, and what is printed would end up in its lock, its ledger or a connection. Each
// that is closed is taken here, by what can be neither read nor written: to use it stays an error.
// To be called first of all.
void occupy_closed_streams();

// False: not all that was printed to stdout arrived. A program that prints only its help says so by
// its exit code, too: who reads it may be a script.
bool stdout_arrived();

}  // namespace shoal
