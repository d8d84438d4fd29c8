#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| aimate_fuzz::targets::pdf(input));
