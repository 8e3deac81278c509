//! Whatever the kernel sends, no parser panics.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ipvs_backend::netlink::fuzzing::parse_anything(bytes));
