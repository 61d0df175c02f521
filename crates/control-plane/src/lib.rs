//! Control planes for agents, tests and demo: real ones as child processes, embedded ones in memory.
