//! Messages for GPUs that cannot be used, from made-up drivers; and for a machine without one.

use super::choose::{Needs, choose, supported};
use super::driver::{Ask, Blas, ask, described};
use super::*;
use crate::train::TrainError;

/// A driver with preset answers.
#[derive(Clone, Default)]
struct Made {
    init: u32,
    version: u32,
    gpus: usize,
    gpu_error: u32,
    blas: bool,
}

fn answer<T>(code: u32, value: T) -> Result<T, u32> {
    if code == 0 { Ok(value) } else { Err(code) }
}

impl Ask for Made {
    fn init(&self) -> Result<(), u32> {
        answer(self.init, ())
    }

    fn version(&self) -> Result<u32, u32> {
        Ok(self.version)
    }

    fn count(&self) -> Result<usize, u32> {
        Ok(self.gpus)
    }

    fn gpu(&self, number: usize) -> Result<Gpu, u32> {
        let gpu = Gpu {
            name: format!("GPU {number}"),
            compute: (9, 0),
            memory_bytes: 80 << 30,
            memory_pools: true,
        };
        answer(self.gpu_error, gpu)
    }

    fn release(&self) -> Option<String> {
        Some("580.65.06".to_owned())
    }

    fn blas(&self) -> Option<Blas> {
        self.blas.then(|| Blas {
            file: "libcublas.so.13".to_owned(),
            version: Some("13.1.0".to_owned()),
        })
    }
}

fn good() -> Made {
    Made {
        version: 13_000,
        gpus: 2,
        blas: true,
        ..Made::default()
    }
}

const BUILT: Needs<'_> = Needs {
    cuda: Some("13.0"),
    compute: Some("80"),
};

fn refusal(made: &Made, number: usize) -> String {
    let found = ask(made);
    let chosen = choose(number, found.as_ref().map_err(Clone::clone), BUILT);
    chosen.map(|gpu| gpu.name.clone()).unwrap_err().to_string()
}

#[test]
fn a_good_driver_gives_the_device_that_was_asked_for() {
    let driver = ask(&good()).unwrap();
    assert_eq!(driver.cuda, (13, 0));
    for number in [0, 1] {
        let gpu = choose(number, Ok(&driver), BUILT).unwrap();
        assert_eq!(gpu.name, format!("GPU {number}"));
    }
    assert!(choose(0, Ok(&driver), Needs::default()).is_ok());
    let older = ask(&Made {
        version: 12_040,
        ..good()
    });
    let needs = Needs {
        cuda: Some("12.4"),
        compute: Some("90"),
    };
    assert!(choose(0, Ok(&older.unwrap()), needs).is_ok());
    let newer = Needs {
        compute: Some("100"),
        ..BUILT
    };
    let refused = choose(0, Ok(&driver), newer).unwrap_err();
    insta::assert_snapshot!(refused, @"device `cuda:0` cannot be used: GPU 0 has compute capability 9.0, this build needs 10.0; build with a lower CUDA_COMPUTE_CAP");
}

#[test]
fn records_say_on_what_their_bits_depend() {
    let driver = ask(&good()).unwrap();
    let isa = described(&driver, 1).unwrap();
    insta::assert_snapshot!(isa, @"sm_90 GPU 1, cuBLAS 13.1.0, one stream, workspace of 32 MiB+driver 580.65.06");
    assert_eq!(described(&driver, 2), None);
    // Another driver computes the same; another cuBLAS or GPU does not promise to.
    for dtype in ["f32", "bf16"] {
        let numerics = |isa: &str| crate::record::Numerics {
            engine: "cuda".to_owned(),
            recipe: 1,
            isa: isa.to_owned(),
            dtype: dtype.to_owned(),
        };
        let agrees = |from, to| numerics(&isa).agrees_with(&numerics(&isa.replace(from, to)));
        assert!(agrees("580.65.06", "590.1"));
        assert!(!agrees("13.1.0", "13.2.0"));
        assert!(!agrees("GPU 1", "GPU 2"));
    }
}

#[test]
fn what_is_missing_is_said_with_what_to_do() {
    let missing = choose(0, Err(NoDriver::Missing), BUILT).unwrap_err();
    insta::assert_snapshot!(missing.to_string(), @"device `cuda:0` cannot be used: no NVIDIA driver was found (`libcuda.so.1` cannot be opened); install NVIDIA's driver, or use `cpu`");
    insta::assert_snapshot!(refusal(&Made { init: 803, ..good() }, 0), @"device `cuda:0` cannot be used: the NVIDIA driver does not work: cuInit returned error 803 (driver and kernel module differ); `nvidia-smi` should say the same; a restart helps after an update of the driver");
    insta::assert_snapshot!(refusal(&Made { gpu_error: 46, ..good() }, 0), @"device `cuda:0` cannot be used: the NVIDIA driver does not work: cuDeviceGet returned error 46 (device unavailable); `nvidia-smi` should say the same; a restart helps after an update of the driver");
    insta::assert_snapshot!(refusal(&good(), 2), @"device `cuda:2` cannot be used: the driver has no GPU 2; there are 2, `cuda:0` to `cuda:1`");
    insta::assert_snapshot!(refusal(&Made { gpus: 1, ..good() }, 7), @"device `cuda:7` cannot be used: the driver has no GPU 7; there is one, `cuda:0`");
    insta::assert_snapshot!(refusal(&Made { gpus: 0, ..good() }, 0), @"device `cuda:0` cannot be used: the driver has no GPU 0; there is none");
    insta::assert_snapshot!(refusal(&Made { version: 12_080, ..good() }, 0), @"device `cuda:0` cannot be used: its driver is too old: it runs CUDA up to 12.8, this build needs 13.0; update the driver, or build with an older CUDA toolkit");
    insta::assert_snapshot!(refusal(&Made { blas: false, ..good() }, 0), @"device `cuda:0` cannot be used: cuBLAS was not found (`libcublas.so` of CUDA 11, 12 or 13); install the CUDA toolkit or `pip install nvidia-cublas`, and name its folder in LD_LIBRARY_PATH");
}

#[test]
fn a_build_without_kernels_says_so() {
    let refused = |support| supported(1, support).unwrap_err().to_string();
    insta::assert_snapshot!(refused(Support::None), @"device `cuda:1` cannot be used: this build has no CUDA support; use `cpu`, or build with `scripts/build-cuda.sh` (see `docs/cuda.md`)");
    insta::assert_snapshot!(refused(Support::CheckOnly), @"device `cuda:1` cannot be used: this build is for checking the CUDA code and has no kernels; build with `--features cuda` or `scripts/build-cuda.sh`");
    assert!(supported(1, Support::Full).is_ok());
}

#[test]
fn opening_a_gpu_never_panics_whatever_this_machine_has() {
    for number in [0, 31] {
        match open(number) {
            Ok(engine) => assert_eq!(engine.numerics(crate::spec::Dtype::F32).engine, "cuda"),
            Err(error) => assert!(matches!(error, TrainError::Device { .. }), "{error}"),
        }
    }
    assert!(usable(usize::MAX).is_err());
}

#[test]
fn devices_are_read_as_they_are_written() {
    use crate::train::engine::DeviceKind;
    for text in ["cpu", "cpu-reference", "cuda:0", "cuda:3"] {
        assert_eq!(text.parse::<DeviceKind>().unwrap().to_string(), text);
    }
    assert_eq!("cuda".parse::<DeviceKind>().unwrap(), DeviceKind::Cuda(0));
    for text in ["cuda:", "cuda:-1", "gpu", "cuda:x", ""] {
        assert!(text.parse::<DeviceKind>().is_err(), "{text}");
    }
}
