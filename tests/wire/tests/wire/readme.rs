//! The README claims what the registry has.

#[test]
fn the_readme_counts_as_the_registry_does() {
    let readme = include_str!("../../../../README.md");
    let counts = mellea_litellm::counts();
    let claims = [
        format!("**{}** prefixes", counts.callable()),
        format!("{} on OpenAI's wire", counts.openai_wire),
        format!("{} on the same wire behind", counts.template),
        format!("and {} of 7 families", counts.native),
    ];
    let line = readme.replace('\n', " ");
    for claim in claims {
        assert!(line.contains(&claim), "the README does not say `{claim}`");
    }
    let faults = mellea_wire_tests::FAULTS.len() - 1;
    assert!(line.contains(&format!("{faults} faults to every wire")), "the README does not say {faults} faults");
}
