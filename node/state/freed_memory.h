#pragma once

namespace shoal {

// Bytes of contents come and go a quarter of a MiB at a time, some MiB at once. The C library would
// give what is freed back to the system each time, and have it page by page again: a tenth of all
// that it costs to move a content. From now on up to 16 MiB stay with the process, for all threads
// together: blocks are had by one thread and freed by another, and each would keep as much again.
// To be called before there are threads.
void keep_freed_memory();

}  // namespace shoal
