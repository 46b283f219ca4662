//! The learning rate over the steps of a run.

use super::TrainConfig;

/// The learning rate of `step`, counted from 0: a line up from near 0 over the
/// warm-up, then half a cosine down to its least at the last step, and the
/// least from there on.
#[expect(clippy::cast_precision_loss, reason = "runs are shorter than 2^24 steps by far")]
pub fn learning_rate(config: &TrainConfig, step: u64) -> f32 {
    if step < config.warmup_steps {
        return config.learning_rate * (step + 1) as f32 / config.warmup_steps as f32;
    }
    let falling = config.steps.saturating_sub(config.warmup_steps).saturating_sub(1).max(1);
    let progress = ((step - config.warmup_steps) as f32 / falling as f32).min(1.0);
    let least = config.min_learning_rate_factor;
    let share = least + (1.0 - least) * 0.5 * (1.0 + (std::f32::consts::PI * progress).cos());
    config.learning_rate * share
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warms_up_falls_and_stays() {
        let config = TrainConfig {
            steps: 111,
            warmup_steps: 10,
            learning_rate: 1.0,
            min_learning_rate_factor: 0.1,
            ..TrainConfig::default()
        };
        let rate = |step| learning_rate(&config, step);
        let near = |a: f32, b: f32| (a - b).abs() < 1e-6;
        assert!(near(rate(0), 0.1) && near(rate(4), 0.5) && near(rate(9), 1.0) && near(rate(10), 1.0));
        assert!(near(rate(60), 0.55), "half way down the cosine: {}", rate(60));
        assert!(near(rate(110), 0.1) && near(rate(111), 0.1) && near(rate(u64::MAX), 0.1));
        assert!((10..110).all(|step| rate(step + 1) < rate(step)));
    }

    #[test]
    fn short_runs_have_a_rate_too() {
        for (steps, warmup_steps) in [(0, 0), (1, 0), (1, 1), (1, 5), (2, 1)] {
            let config = TrainConfig { steps, warmup_steps, ..TrainConfig::default() };
            assert!((0..3).all(|step| learning_rate(&config, step).is_finite()));
        }
    }
}
