//! What holds for every input, tried on random ones from a world small enough for collisions: a
//! few Services that claim the same addresses, slices that move between them, a handful of nodes.

mod changes;
mod decisions;
mod objects;
mod recovery;
