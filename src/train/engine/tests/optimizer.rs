//! AdamW, clipping and kept gradients against scalar arithmetic.

use super::super::ops::{AdamwStep, Clip, Matrix, Moments, Operations};
use super::super::reference::Reference;
use dfdx::prelude::*;

type Exact = Reference<f64, Cpu>;

/// Adds `factors` to the gradient of `parameter`.
fn backward(
    ops: &Exact,
    parameter: &Matrix<Exact>,
    kept: Gradients<f64, Cpu>,
    factors: &[f64],
) -> Gradients<f64, Cpu> {
    let factors = ops.upload(factors.to_vec(), *parameter.shape()).unwrap();
    let tape = ops.tape(kept).unwrap();
    let product = parameter.clone().put_tape(tape).try_mul(factors).unwrap();
    ops.backward(product.try_sum::<(), Axes2<0, 1>>().unwrap())
        .unwrap()
}

#[test]
fn adamw_equals_its_formula() {
    let ops = Exact::open(1).unwrap();
    let zeros = || ops.upload(vec![0.0; 3], (1, 3)).unwrap();
    let mut parameters = vec![ops.upload(vec![1.0, -2.0, 0.5], (1, 3)).unwrap(); 1];
    let mut moments = Moments::<Exact> {
        first: vec![zeros()],
        second: vec![zeros()],
    };
    let mut gradients = ops.gradients(&parameters);
    let (mut theta, mut m, mut v) = ([1.0f64, -2.0, 0.5], [0.0f64; 3], [0.0f64; 3]);
    let (rate, decay, eps, betas) = (0.1, 0.3, 1e-3, [0.9, 0.99]);
    for step in 1..=4u64 {
        let g = [0.5 * step as f64, -1.0, 0.0];
        // In two parts, to test accumulation.
        gradients = backward(&ops, &parameters[0], gradients, &[0.0, -0.25, 0.0]);
        gradients = backward(&ops, &parameters[0], gradients, &[g[0], g[1] + 0.25, 0.0]);
        let clip = ops
            .grad_norm_clip(&parameters, &mut gradients, Some(0.4))
            .unwrap();
        let norm = (g[0] * g[0] + 1.0).sqrt();
        assert!((clip.norm - norm).abs() < 1e-12);
        let update = AdamwStep {
            step,
            learning_rate: rate,
            betas,
            eps,
            weight_decay: decay,
            decays: &[step % 2 == 0],
            gradient_scale: clip.scale,
        };
        ops.adamw_step(&mut parameters, &mut moments, &mut gradients, &update)
            .unwrap();
        for at in 0..3 {
            let g = g[at] * (0.4 / (norm + 1e-6));
            m[at] = betas[0] * m[at] + (1.0 - betas[0]) * g;
            v[at] = betas[1] * v[at] + (1.0 - betas[1]) * g * g;
            let m_hat = m[at] / (1.0 - betas[0].powi(step as i32));
            let v_hat = v[at] / (1.0 - betas[1].powi(step as i32));
            let kept = if step % 2 == 0 {
                1.0 - rate * decay
            } else {
                1.0
            };
            theta[at] = theta[at] * kept - rate * m_hat / (v_hat.sqrt() + eps);
        }
        for (ours, due) in parameters[0].as_vec().into_iter().zip(theta) {
            assert!((ours - due).abs() < 1e-12, "{ours} for {due}");
        }
        // The step has cleared the gradients.
        let clip = ops
            .grad_norm_clip(&parameters, &mut gradients, None)
            .unwrap();
        assert_eq!(
            clip,
            Clip {
                norm: 0.0,
                scale: 1.0
            }
        );
    }
}

#[test]
fn clipping_only_ever_shortens() {
    assert_eq!(Clip::of(0.5, Some(1.0)).scale, 1.0);
    assert_eq!(Clip::of(5.0, None).scale, 1.0);
    assert!((Clip::of(4.0, Some(1.0)).scale - 0.25).abs() < 1e-6);
    assert_eq!(Clip::of(0.0, Some(1.0)).scale, 1.0);
}
