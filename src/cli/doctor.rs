//! `specbook doctor`: reports what was found on this machine and what would be used.

use super::args::{DoctorArgs, Global};
use super::failure::Failure;
use super::memory::Memory;
use super::print::Printer;
use super::{exit, project};
use crate::fsx::AnyPath;
use crate::human;
use crate::record::{Numerics, RECIPE};
use crate::spec::{Dtype, ModelConfig, ModelSettings, TrainSettings};
use crate::train::engine::cuda::{self, Driver, NoDriver, Support};
use crate::train::engine::{self, DeviceKind};
use crate::train::{Engine, TrainError};
use serde_json::{Value, json};

/// Examines the machine. Fails if the requested device cannot be used.
pub(crate) fn execute(args: &DoctorArgs, global: &Global, printer: Printer) -> Result<u8, Failure> {
    let device = args.device;
    let store = project::store_here(global)?;
    let machine = Machine {
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        features: processor_features(),
        memory: Memory::look().unwrap_or(Memory { free: 0, total: 0 }),
        driver: cuda::probe(),
        support: cuda::support(),
        store: store.root().into(),
        store_is_there: store.root().is_dir(),
    };
    let used = used(device);
    if printer.json() {
        printer.json_result(&as_json(&machine, device, &used))?;
    } else {
        printer.result(&as_text(&machine, device, &used));
    }
    match used {
        Ok(_) => Ok(exit::OK),
        Err(error) => Err(error.into()),
    }
}

/// Facts about the machine.
struct Machine<'a> {
    cores: usize,
    features: Vec<&'static str>,
    memory: Memory,
    driver: &'a Result<Driver, NoDriver>,
    support: Support,
    store: AnyPath,
    store_is_there: bool,
}

/// The engine and settings that a run would use.
struct Used {
    numerics: Numerics,
    /// Number formats: the name, and either the instruction set recorded with runs in that format
    /// or the reason why none is possible.
    dtypes: Vec<(&'static str, Result<String, String>)>,
}

fn used(device: DeviceKind) -> Result<Used, TrainError> {
    let engine = engine::open(device)?;
    let dtypes = [("f32", Dtype::F32), ("bf16", Dtype::Bf16)];
    let dtypes = dtypes.map(|(name, dtype)| {
        let isa = match refusal(engine.as_ref(), dtype) {
            Some(refusal) => Err(refusal),
            None => Ok(engine.numerics(dtype).isa),
        };
        (name, isa)
    });
    Ok(Used {
        numerics: engine.numerics(Dtype::F32),
        dtypes: dtypes.into(),
    })
}

/// The reason why an ordinary model cannot be trained in `dtype`.
fn refusal(engine: &dyn Engine, dtype: Dtype) -> Option<String> {
    let (model, train) = ordinary(dtype)?;
    engine.unsupported(&model, &train)
}

/// A model that every engine can train, and settings for it.
fn ordinary(dtype: Dtype) -> Option<(ModelConfig, TrainSettings)> {
    let model = json!({"dim": 64, "n_layers": 1, "n_heads": 2, "max_seq_len": 32});
    let model: ModelSettings = serde_json::from_value(model).ok()?;
    let train = json!({
        "batch_size": 1, "max_steps": 1, "validate": {"every": "end"}, "optimizer": {"adamw": {"learning_rate": 1e-3}},
    });
    let mut train: TrainSettings = serde_json::from_value(train).ok()?;
    train.dtype = dtype;
    Some((model.resolve(256), train))
}

/// The features that the kernels require, and some that indicate their possible speed.
fn processor_features() -> Vec<&'static str> {
    #[cfg(target_arch = "x86_64")]
    {
        let avx512f = is_x86_feature_detected!("avx512f");
        // Every processor with AVX-512 has this leaf; the standard library cannot detect AMX yet.
        let extended = match avx512f {
            true => std::arch::x86_64::__cpuid_count(7, 0).edx,
            false => 0,
        };
        let found = [
            ("sse4.2", is_x86_feature_detected!("sse4.2")),
            ("avx", is_x86_feature_detected!("avx")),
            ("avx2", is_x86_feature_detected!("avx2")),
            ("fma", is_x86_feature_detected!("fma")),
            ("avx512f", avx512f),
            ("avx512bw", is_x86_feature_detected!("avx512bw")),
            ("avx512vnni", is_x86_feature_detected!("avx512vnni")),
            ("avx512bf16", is_x86_feature_detected!("avx512bf16")),
            ("amx-tile", extended & 1 << 24 != 0),
            ("amx-bf16", extended & 1 << 22 != 0),
        ];
        let there = found.into_iter().filter(|(_, there)| *there);
        there.map(|(name, _)| name).collect()
    }
    #[cfg(target_arch = "aarch64")]
    {
        use std::arch::is_aarch64_feature_detected;
        let found = [
            ("neon", is_aarch64_feature_detected!("neon")),
            ("fp16", is_aarch64_feature_detected!("fp16")),
            ("dotprod", is_aarch64_feature_detected!("dotprod")),
            ("i8mm", is_aarch64_feature_detected!("i8mm")),
            ("bf16", is_aarch64_feature_detected!("bf16")),
            ("sve", is_aarch64_feature_detected!("sve")),
            ("sve2", is_aarch64_feature_detected!("sve2")),
        ];
        let there = found.into_iter().filter(|(_, there)| *there);
        there.map(|(name, _)| name).collect()
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    {
        Vec::new()
    }
}

fn build(support: Support) -> &'static str {
    match support {
        Support::None => "without CUDA support",
        Support::CheckOnly => "with CUDA code for checks only",
        Support::Full => "with CUDA support",
    }
}

fn as_text(machine: &Machine<'_>, device: DeviceKind, used: &Result<Used, TrainError>) -> String {
    let mut lines = vec![
        (
            "specbook",
            format!(
                "{}, recipe {RECIPE}, built for {}-{} {}",
                env!("CARGO_PKG_VERSION"),
                std::env::consts::OS,
                std::env::consts::ARCH,
                build(machine.support)
            ),
        ),
        ("processor", processor(machine)),
        (
            "memory",
            format!(
                "{} free of {}",
                human::bytes(machine.memory.free),
                human::bytes(machine.memory.total)
            ),
        ),
    ];
    lines.extend(gpus(machine.driver));
    lines.push((
        "store",
        format!(
            "{}{}",
            machine.store.0.display(),
            if machine.store_is_there {
                ""
            } else {
                " (not there yet)"
            }
        ),
    ));
    let name = device.to_string();
    match used {
        Ok(used) => {
            lines.push((
                "would use",
                format!(
                    "{name}: engine {} on {}, {} threads",
                    used.numerics.engine, used.numerics.isa, machine.cores
                ),
            ));
            for (dtype, isa) in &used.dtypes {
                let words = match isa {
                    Err(_) => "not on this device".to_owned(),
                    Ok(isa) if *isa == used.numerics.isa => "yes".to_owned(),
                    Ok(isa) => format!("yes, on {isa}"),
                };
                lines.push(("train.dtype", format!("{dtype}: {words}")));
            }
        }
        Err(_) => lines.push(("would use", format!("nothing: {name} cannot be used"))),
    }
    let widest = lines.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let lines = lines.iter().enumerate().map(|(number, (name, text))| {
        let again = number > 0 && lines[number - 1].0 == *name;
        let name = if again { "" } else { name };
        format!("{name:<widest$}  {text}")
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn processor(machine: &Machine<'_>) -> String {
    let cores = machine.cores;
    match machine.features.is_empty() {
        true => format!("{cores} cores"),
        false => format!("{cores} cores, {}", machine.features.join(" ")),
    }
}

fn gpus(found: &Result<Driver, NoDriver>) -> Vec<(&'static str, String)> {
    let driver = match found {
        Err(error) => return vec![("cuda", error.to_string())],
        Ok(driver) => driver,
    };
    let mut lines = vec![(
        "cuda",
        format!("{}; {}", driver.describe(), driver.describe_blas()),
    )];
    for (number, gpu) in driver.gpus.iter().enumerate() {
        let text = format!(
            "cuda:{number}: {}, compute capability {}.{}, {}",
            gpu.name,
            gpu.compute.0,
            gpu.compute.1,
            human::bytes(gpu.memory_bytes)
        );
        lines.push(("cuda", text));
    }
    lines
}

fn as_json(machine: &Machine<'_>, device: DeviceKind, used: &Result<Used, TrainError>) -> Value {
    let cuda = match machine.driver {
        Err(error) => json!({"found": false, "reason": error.to_string()}),
        Ok(driver) => json!({
            "found": true,
            "driver_cuda": format!("{}.{}", driver.cuda.0, driver.cuda.1),
            "driver": driver.release,
            "cublas": driver.blas.as_ref().map(|blas| json!({"library": blas.file, "version": blas.version})),
            "devices": driver.gpus.iter().map(|gpu| json!({
                "name": gpu.name,
                "compute": format!("{}.{}", gpu.compute.0, gpu.compute.1),
                "memory_bytes": gpu.memory_bytes,
            })).collect::<Vec<_>>(),
        }),
    };
    let would_use = match used {
        Err(error) => {
            json!({"device": device.to_string(), "usable": false, "reason": error.to_string()})
        }
        Ok(used) => {
            let dtypes = used.dtypes.iter();
            let isas = dtypes.clone().filter_map(|(name, isa)| {
                let isa = isa.as_ref().ok()?;
                Some(((*name).to_owned(), json!(isa)))
            });
            let dtypes = dtypes.map(|(name, isa)| ((*name).to_owned(), json!(isa.is_ok())));
            json!({
                "device": device.to_string(),
                "usable": true,
                "engine": used.numerics.engine,
                "isa": used.numerics.isa,
                "threads": machine.cores,
                "dtypes": dtypes.collect::<serde_json::Map<String, Value>>(),
                "dtype_isas": isas.collect::<serde_json::Map<String, Value>>(),
            })
        }
    };
    json!({
        "format": 1,
        "specbook": env!("CARGO_PKG_VERSION"),
        "recipe": RECIPE,
        "platform": format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH),
        "cuda_support": match machine.support {
            Support::None => "none",
            Support::CheckOnly => "check_only",
            Support::Full => "full",
        },
        "processor": {"cores": machine.cores, "features": machine.features},
        "memory": {"free_bytes": machine.memory.free, "total_bytes": machine.memory.total},
        "cuda": cuda,
        "store": {"path": machine.store, "exists": machine.store_is_there},
        "would_use": would_use,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::engine::cuda::{Blas, Gpu};

    fn driver() -> Driver {
        Driver {
            cuda: (13, 0),
            gpus: vec![Gpu {
                name: "NVIDIA H200".to_owned(),
                compute: (9, 0),
                memory_bytes: 139 << 30,
                memory_pools: true,
            }],
            release: Some("580.65.06".to_owned()),
            blas: Some(Blas {
                file: "libcublas.so.13".to_owned(),
                version: Some("13.1.0".to_owned()),
            }),
        }
    }

    fn machine(driver: &Result<Driver, NoDriver>) -> Machine<'_> {
        Machine {
            cores: 16,
            features: vec!["avx2", "fma"],
            memory: Memory {
                free: 100 << 30,
                total: 128 << 30,
            },
            driver,
            support: Support::Full,
            store: ".specbook".into(),
            store_is_there: false,
        }
    }

    fn on(engine: &str, isa: &str, bf16: Result<&str, &str>) -> Used {
        let numerics = Numerics {
            engine: engine.to_owned(),
            recipe: RECIPE,
            isa: isa.to_owned(),
            dtype: "f32".to_owned(),
        };
        let bf16 = bf16.map(str::to_owned).map_err(str::to_owned);
        Used {
            dtypes: vec![("f32", Ok(numerics.isa.clone())), ("bf16", bf16)],
            numerics,
        }
    }

    fn on_gpu() -> Used {
        on("cuda", "sm_90 NVIDIA H200", Err("no"))
    }

    #[test]
    fn what_was_found_stands_in_aligned_lines() {
        let found = Ok(driver());
        let text = as_text(&machine(&found), DeviceKind::Cuda(0), &Ok(on_gpu()));
        let (_, rest) = text.split_once('\n').unwrap();
        insta::assert_snapshot!(rest, @"
        processor    16 cores, avx2 fma
        memory       100.0 GiB free of 128.0 GiB
        cuda         driver 580.65.06 for CUDA up to 13.0; cuBLAS 13.1.0 (libcublas.so.13)
                     cuda:0: NVIDIA H200, compute capability 9.0, 139.0 GiB
        store        .specbook (not there yet)
        would use    cuda:0: engine cuda on sm_90 NVIDIA H200, 16 threads
        train.dtype  f32: yes
                     bf16: not on this device
        ");
    }

    #[test]
    fn the_way_of_bfloat16_products_is_said() {
        let found = Err(NoDriver::Missing);
        let used = on("cpu-fused", "x86_64+avx512", Ok("x86_64+avx512+amx"));
        let text = as_text(&machine(&found), DeviceKind::Cpu, &Ok(used));
        let (_, formats) = text.split_once("train.dtype  ").unwrap();
        insta::assert_snapshot!(formats, @"
        f32: yes
                     bf16: yes, on x86_64+avx512+amx
        ");
    }

    #[test]
    fn what_is_missing_is_said_too() {
        let found = Err(NoDriver::Missing);
        let refused = TrainError::Device {
            device: "cuda:0".to_owned(),
            reason: "there is none".to_owned(),
        };
        let text = as_text(&machine(&found), DeviceKind::Cuda(0), &Err(refused));
        assert!(
            text.contains("cuda       no NVIDIA driver was found"),
            "{text}"
        );
        assert!(
            text.contains("would use  nothing: cuda:0 cannot be used"),
            "{text}"
        );
    }

    #[test]
    fn json_has_the_same_facts() {
        let found = Ok(driver());
        let value = as_json(&machine(&found), DeviceKind::Cuda(0), &Ok(on_gpu()));
        assert_eq!(value["cuda"]["devices"][0]["compute"], "9.0");
        assert_eq!(
            value["would_use"]["dtypes"],
            json!({"f32": true, "bf16": false})
        );
        assert_eq!(
            value["would_use"]["dtype_isas"],
            json!({"f32": "sm_90 NVIDIA H200"})
        );
        assert_eq!(value["processor"]["cores"], 16);
    }

    #[test]
    fn the_processor_can_be_used() {
        let used = used(DeviceKind::Cpu).unwrap();
        assert_eq!(used.numerics.engine, "cpu-fused");
        assert_eq!(used.dtypes[0], ("f32", Ok(used.numerics.isa)));
    }
}
