// What the daemon keeps in memory.
#pragma once

namespace otagate {

// Before any thread starts: bounds what the allocator keeps for threads that are idle most of the time.
void limit_arenas();

// Once the start is over: returns free heap to the kernel, and unmaps the pages of code and constants, most
// of which only the start needed (parsing the configuration, loading plugins, migrations). What is used
// again is mapped again from the page cache, some microseconds a page. Any thread, any number of times.
void give_back_memory();

}  // namespace otagate
