//! A line of a run is `TIME what was done`, time in milliseconds of a simulated clock.

mod failures;
mod parked;
mod timing;
