//! Inputs that must compile, and inputs that must be refused with a message that helps.

#[test]
fn inputs_compile_or_are_refused() {
    let cases = trybuild::TestCases::new();
    for name in ["generative", "tool"] {
        cases.pass(format!("tests/compile/{name}/pass/*.rs"));
        cases.compile_fail(format!("tests/compile/{name}/fail/*.rs"));
    }
}
