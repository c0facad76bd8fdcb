//! stub
/// .
#[derive(Debug, Clone)]
pub struct ModelIdentifier;
/// .
#[derive(Debug, Clone)]
pub struct ModelRef;
