//! What is fuzzed: one function per target, which takes any bytes and panics if lwaftr does, or if
//! what it made of them is not right. `vnf/tests/fuzz_corpus.rs` runs the same functions on all
//! inputs that are kept, without a fuzzer.

// Not every judgement is of use here.
#[allow(dead_code)]
#[path = "../../tests/properties/oracle.rs"]
mod oracle;
#[path = "targets/mod.rs"]
mod targets;

macro_rules! targets {
    ($($name:ident)*) => {
        $(
            #[allow(missing_docs)]
            pub fn $name(input: &[u8]) {
                targets::$name(input);
            }
        )*
    };
}

targets! { frame_external frame_internal fragments config table_file control api }
