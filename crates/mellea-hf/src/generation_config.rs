//! `generation_config.json`: how the model's makers want it to be sampled, and where its answers end.

use serde_json::{Map, Value};

use crate::config::ids;
use crate::error::Result;
use crate::hub::files::ModelFiles;
use crate::sampler::Sampling;

/// A model's own defaults; what a request says comes before them.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct GenerationDefaults {
    pub(crate) do_sample: Option<bool>,
    pub(crate) temperature: Option<f32>,
    pub(crate) top_k: Option<usize>,
    pub(crate) top_p: Option<f32>,
    pub(crate) min_p: Option<f32>,
    pub(crate) repetition_penalty: Option<f32>,
    pub(crate) max_new_tokens: Option<usize>,
    pub(crate) eos: Vec<u32>,
}

/// What a request says about sampling; `None` leaves it to the model's makers.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct SamplingRequest {
    pub(crate) do_sample: Option<bool>,
    pub(crate) temperature: Option<f32>,
    pub(crate) top_k: Option<usize>,
    pub(crate) top_p: Option<f32>,
    pub(crate) min_p: Option<f32>,
    pub(crate) repetition_penalty: Option<f32>,
    pub(crate) presence_penalty: Option<f32>,
    pub(crate) frequency_penalty: Option<f32>,
    pub(crate) seed: Option<u64>,
}

impl GenerationDefaults {
    pub(crate) fn load(files: &ModelFiles) -> Result<Self> {
        let map: Map<String, Value> = files.read_json("generation_config.json")?.unwrap_or_default();
        let number = |name: &str| map.get(name).and_then(Value::as_f64);
        let size = |name: &str| number(name).filter(|value| *value >= 0.0).map(|value| value as usize);
        let float = |name: &str| number(name).map(|value| value as f32);
        Ok(Self {
            do_sample: map.get("do_sample").and_then(Value::as_bool),
            temperature: float("temperature"),
            top_k: size("top_k"),
            top_p: float("top_p"),
            min_p: float("min_p"),
            repetition_penalty: float("repetition_penalty"),
            max_new_tokens: size("max_new_tokens").filter(|count| *count > 0),
            eos: ids(map.get("eos_token_id")),
        })
    }

    /// Puts request and defaults together.
    ///
    /// Sampling is on if `do_sample` says so; if it is not said, a seed or a temperature other than zero asks for
    /// it. Temperature zero is greedy, whatever else is said, except an explicit `do_sample`.
    pub(crate) fn resolve(&self, request: &SamplingRequest) -> Result<Sampling> {
        let zero = request.temperature == Some(0.0);
        let asked = request.seed.is_some() || request.temperature.is_some();
        let samples = match request.do_sample {
            Some(explicit) => explicit,
            None if zero => false,
            None => asked || self.do_sample.unwrap_or(false),
        };
        let neutral = Sampling::default();
        let temperature = request.temperature.or(self.temperature).unwrap_or(1.0);
        let sampling = Sampling {
            temperature: if samples { temperature } else { 0.0 },
            top_k: request.top_k.or(self.top_k).unwrap_or(neutral.top_k),
            top_p: request.top_p.or(self.top_p).unwrap_or(neutral.top_p),
            min_p: request.min_p.or(self.min_p).unwrap_or(neutral.min_p),
            repetition_penalty: request
                .repetition_penalty
                .or(self.repetition_penalty)
                .unwrap_or(neutral.repetition_penalty),
            presence_penalty: request.presence_penalty.unwrap_or(neutral.presence_penalty),
            frequency_penalty: request.frequency_penalty.unwrap_or(neutral.frequency_penalty),
            seed: request.seed,
        };
        sampling.check()?;
        Ok(sampling)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sampling_rule_of_the_original_holds() {
        let file = GenerationDefaults { temperature: Some(0.7), ..GenerationDefaults::default() };
        let rule = |do_sample, temperature, seed| {
            let request = SamplingRequest { do_sample, temperature, seed, ..SamplingRequest::default() };
            file.resolve(&request).unwrap().temperature
        };
        assert_eq!(rule(None, None, None), 0.0);
        assert_eq!(rule(None, None, Some(1)), 0.7);
        assert_eq!(rule(None, Some(0.3), None), 0.3);
        assert_eq!(rule(None, Some(0.0), Some(1)), 0.0);
        assert_eq!(rule(Some(false), Some(0.3), Some(1)), 0.0);
        assert_eq!(rule(Some(true), None, None), 0.7);
    }

    #[test]
    fn values_out_of_range_are_refused_by_name() {
        let request = SamplingRequest { top_p: Some(1.5), ..SamplingRequest::default() };
        let error = GenerationDefaults::default().resolve(&request).unwrap_err();
        assert_eq!(error.to_string(), "option top_p = 1.5 is out of range (0 to 1)");
    }

    #[test]
    fn the_file_is_read_with_one_or_several_ends() {
        let files = ModelFiles::in_memory(
            "m",
            &[("generation_config.json", br#"{"eos_token_id":[1,2],"top_k":20,"do_sample":true,"temperature":0.6}"#)],
        );
        let defaults = GenerationDefaults::load(&files).unwrap();
        assert_eq!((defaults.eos.as_slice(), defaults.top_k), (&[1, 2][..], Some(20)));
        assert_eq!(GenerationDefaults::load(&ModelFiles::in_memory("m", &[])).unwrap(), GenerationDefaults::default());
    }
}
