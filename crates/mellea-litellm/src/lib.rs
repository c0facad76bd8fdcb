#![doc = include_str!("../README.md")]

#[allow(dead_code, reason = "the routing that calls the constructors is not here yet")]
mod native;
