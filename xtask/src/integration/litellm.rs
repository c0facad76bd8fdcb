//! The LiteLLM proxy. The tests start it themselves, in front of their scripted server.

use super::python::Python;
use super::{Tests, cargo_test};
use crate::Failure;
use crate::workspace::Workspace;

/// The version that the tests were written against. Two releases of the past stole keys, so never "the newest".
const PACKAGE: &str = "litellm[proxy]==1.106.2";

pub(super) fn run(workspace: &Workspace, tests: &mut Tests) -> Result<(), Failure> {
    let python = Python::with(workspace.target.join("integration/litellm-proxy/venv"), &[PACKAGE])?;
    let program = python.program("litellm");
    let program = program.to_str().ok_or("the path of the target directory is not UTF-8")?;
    cargo_test("litellm_proxy", &[], &[("MELLEA_LITELLM_PROXY", program)], tests)
}
