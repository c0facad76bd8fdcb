use super::*;

#[test]
fn the_first_attempt_keeps_the_seed_and_the_others_differ() {
    let seeds: Vec<u64> = (0..50).map(|k| attempt_seed(42, k)).collect();
    assert_eq!(seeds[0], 42);
    let distinct: std::collections::HashSet<_> = seeds.iter().collect();
    assert_eq!(distinct.len(), seeds.len());
    assert!(seeds.iter().skip(1).all(|s| *s <= 0x7fff_ffff), "providers with 32-bit seeds take them");
}

#[test]
fn zero_attempts_count_as_one() {
    assert_eq!(RejectionSampling::new(0).budget().attempts.get(), 1);
    assert_eq!(RepairTemplate::default().budget().attempts.get(), 2);
}
