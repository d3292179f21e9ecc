//! GPT-2 written as f64 loops, after nanoGPT's `model.py`, against the model built from the operations: positions,
//! order of norms and residuals, biases, and every dropout site. (LLaMA is checked against a published model.)

use super::super::dropout::{Dropout, Pass};
use super::super::layout::Layout;
use super::super::network::Network;
use super::super::ops::{Grid, Operations};
use super::*;
use std::collections::BTreeMap;

type Exact = Reference<f64, Cpu>;

struct Model<'a> {
    config: &'a ModelConfig,
    values: BTreeMap<String, Vec<f64>>,
    grid: Grid,
    pass: Option<Pass>,
}

impl Model<'_> {
    fn bias(&self, name: &str, index: usize) -> f64 {
        let bias = self.values.get(&format!("{name}.bias"));
        bias.map_or(0.0, |values| values[index])
    }

    fn norm(&self, name: &str, row: &[f64]) -> Vec<f64> {
        let width = row.len() as f64;
        let mean = row.iter().sum::<f64>() / width;
        let variance = row.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / width;
        let weight = &self.values[&format!("{name}.weight")];
        let normal = |(at, x): (usize, &f64)| {
            (x - mean) / (variance + self.config.norm_eps).sqrt() * weight[at] + self.bias(name, at)
        };
        row.iter().enumerate().map(normal).collect()
    }

    fn linear(&self, name: &str, row: &[f64]) -> Vec<f64> {
        let weight = &self.values[&format!("{name}.weight")];
        let product = |(at, of): (usize, &[f64])| {
            of.iter().zip(row).map(|(w, x)| w * x).sum::<f64>() + self.bias(name, at)
        };
        weight.chunks(row.len()).enumerate().map(product).collect()
    }

    fn kept(&self, site: usize, index: usize) -> f64 {
        let dropout: Option<Dropout> = self.pass.and_then(|pass| pass.site(site));
        dropout.map_or(1.0, |dropout| match dropout.keeps(index as u64) {
            true => dropout.scale(),
            false => 0.0,
        })
    }

    fn attention(&self, name: &str, site: usize, rows: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let (t, dim) = (self.grid.length, self.config.dim);
        let (heads, width) = (self.config.n_heads, self.config.dim / self.config.n_heads);
        let qkv: Vec<Vec<f64>> = rows
            .iter()
            .map(|row| self.linear(&format!("{name}.c_attn"), row))
            .collect();
        let mut mixed = vec![vec![0.0; dim]; rows.len()];
        for (row, head) in (0..rows.len()).flat_map(|row| (0..heads).map(move |h| (row, h))) {
            let (sequence, query) = (row / t, row % t);
            let scores: Vec<f64> = (0..=query)
                .map(|key| {
                    let products = (0..width).map(|at| {
                        let column = head * width + at;
                        qkv[row][column] * qkv[sequence * t + key][dim + column]
                    });
                    libm::exp(products.sum::<f64>() / (width as f64).sqrt())
                })
                .collect();
            let sum: f64 = scores.iter().sum();
            for (key, score) in scores.iter().enumerate() {
                let index = ((sequence * heads + head) * t + query) * t + key;
                let share = score / sum * self.kept(site, index);
                for column in head * width..(head + 1) * width {
                    mixed[row][column] += share * qkv[sequence * t + key][2 * dim + column];
                }
            }
        }
        mixed
    }

    /// Adds a projection with dropout to the residual stream.
    fn add(&self, name: &str, site: usize, rows: &mut [Vec<f64>], inner: &[Vec<f64>]) {
        for (number, (row, inner)) in rows.iter_mut().zip(inner).enumerate() {
            let width = row.len();
            for (at, value) in self.linear(name, inner).into_iter().enumerate() {
                row[at] += value * self.kept(site, number * width + at);
            }
        }
    }

    fn logits(&self, ids: &[u32]) -> Vec<f64> {
        let dim = self.config.dim;
        let (wte, wpe) = ("transformer.wte.weight", "transformer.wpe.weight");
        let mut rows: Vec<Vec<f64>> = (0..ids.len())
            .map(|row| {
                let value = |at: usize| {
                    let token = self.values[wte][ids[row] as usize * dim + at];
                    let position = self.values[wpe][row % self.grid.length * dim + at];
                    (token + position) * self.kept(0, row * dim + at)
                };
                (0..dim).map(value).collect()
            })
            .collect();
        for layer in 0..self.config.n_layers {
            let name = |part: &str| format!("transformer.h.{layer}.{part}");
            let normal = |rows: &[Vec<f64>], part: &str| -> Vec<Vec<f64>> {
                rows.iter().map(|row| self.norm(&name(part), row)).collect()
            };
            let mixed = self.attention(&name("attn"), 3 * layer + 1, &normal(&rows, "ln_1"));
            self.add(&name("attn.c_proj"), 3 * layer + 2, &mut rows, &mixed);
            let gelu = |x: f64| 0.5 * x * (1.0 + libm::erf(x / 2.0f64.sqrt()));
            let inner: Vec<Vec<f64>> = normal(&rows, "ln_2")
                .iter()
                .map(|row| self.linear(&name("mlp.c_fc"), row))
                .map(|row| row.into_iter().map(gelu).collect())
                .collect();
            self.add(&name("mlp.c_proj"), 3 * layer + 3, &mut rows, &inner);
        }
        let head = &self.values[wte];
        let last = rows.iter().map(|row| self.norm("transformer.ln_f", row));
        last.flat_map(|row| {
            let logit = |of: &[f64]| of.iter().zip(&row).map(|(w, x)| w * x).sum::<f64>();
            head.chunks(dim).map(logit).collect::<Vec<_>>()
        })
        .collect()
    }
}

#[test]
fn gpt2_equals_its_definition_in_loops() {
    for (biases, probability) in [(true, 0.0), (false, 0.0), (true, 0.25), (false, 0.5)] {
        let mut config = tiny(Arch::Gpt2);
        (config.biases, config.dropout) = (biases, probability);
        let mut weights = Layout::new(&config).initial(&config, 3, 1);
        for (number, tensor) in weights.0.iter_mut().enumerate() {
            let draws = Stream::new(5, Purpose::Init, number as u64);
            for (index, value) in tensor.data.iter_mut().enumerate() {
                *value += 0.4 * draws.normal_pair(index as u64)[0] as f32;
            }
        }
        let values = weights.0.iter().map(|tensor| {
            let values = tensor.data.iter().map(|value| f64::from(*value));
            (tensor.name.clone(), values.collect())
        });
        let pass = Pass {
            seed: 1,
            step: 9,
            micro: 2,
            probability,
        };
        let model = Model {
            config: &config,
            values: values.collect(),
            grid: Grid {
                sequences: 2,
                length: 6,
            },
            pass: Some(pass),
        };
        let ids: Vec<u32> = (0..12).map(|row| row * 5 % 11).collect();
        let due = model.logits(&ids);
        let ops = Exact::open(1).unwrap();
        let network = Network::<Exact>::new(&ops, &config, &weights).unwrap();
        let hidden = network
            .hidden(&ops, &ids, model.grid, Some(pass), dfdx::prelude::NoneTape)
            .unwrap();
        // Rounded to f32 at the end, like `head_logits`.
        let ours = ops.head_logits(hidden, network.head()).unwrap();
        assert_eq!(ours.len(), due.len());
        for (ours, due) in ours.iter().zip(&due) {
            let error = (f64::from(*ours) - due).abs();
            assert!(error < 1e-6 * (1.0 + due.abs()), "{ours} for {due}");
        }
    }
}
