#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| lwaftr_fuzz::api(input));
