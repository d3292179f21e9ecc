//! Instruction sets of kernels. They affect only speed, except that results of bfloat16 products depend on them
//! ([`super::Bf16`]).

#[cfg(target_arch = "x86_64")]
use super::amx;
use std::sync::OnceLock;

/// The instruction set of this process: the fastest, unless another was requested first.
static SETTLED: OnceLock<Isa> = OnceLock::new();

/// An instruction set known to be available on this machine; every kernel takes one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Isa {
    kind: Kind,
    /// Whether bfloat16 products use AMX tiles.
    tiles: bool,
}

/// The compiled variants. Private, so that callers cannot request instructions the machine lacks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "aarch64")]
    Neon,
}

impl Isa {
    /// All usable instruction sets, fastest first; never empty. The first call requests permissions from the system.
    pub fn available() -> Vec<Self> {
        let plain = |kind| Self { kind, tiles: false };
        let mut found = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f") {
                if is_x86_feature_detected!("avx512bf16") && amx::is_usable() {
                    found.push(Self {
                        tiles: true,
                        ..plain(Kind::Avx512)
                    });
                }
                found.push(plain(Kind::Avx512));
            }
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                found.push(plain(Kind::Avx2));
            }
        }
        // Every aarch64 processor has it.
        #[cfg(target_arch = "aarch64")]
        found.push(plain(Kind::Neon));
        found.push(plain(Kind::Portable));
        found
    }

    /// The fastest, or the one set by [`Isa::settle`].
    pub fn best() -> Self {
        *SETTLED.get_or_init(|| Self::available()[0])
    }

    /// Makes [`Isa::best`] return `name` from now on.
    ///
    /// # Errors
    /// The machine does not have it, or another is in use; lists the available ones.
    pub fn settle(name: &str) -> Result<(), String> {
        let available = Self::available();
        let Some(wanted) = available.iter().find(|isa| isa.short_name() == name) else {
            let names: Vec<_> = available.iter().map(|isa| isa.short_name()).collect();
            return Err(format!("this machine has `{}`", names.join("`, `")));
        };
        match *SETTLED.get_or_init(|| *wanted) == *wanted {
            true => Ok(()),
            false => Err("another instruction set is in use".to_owned()),
        }
    }

    /// The name for [`Isa::settle`].
    fn short_name(self) -> &'static str {
        match self.kind {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 if self.tiles => "amx",
            Kind::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => "avx512",
            #[cfg(target_arch = "aarch64")]
            Kind::Neon => "neon",
        }
    }

    /// The compiled variant to run.
    #[inline]
    pub fn kind(self) -> Kind {
        self.kind
    }

    /// Whether bfloat16 products use AMX tiles.
    #[cfg(target_arch = "x86_64")]
    pub fn has_tiles(self) -> bool {
        self.tiles
    }

    /// As recorded with a run in bfloat16, whose bits depend on how its products are summed: `x86_64+avx512bf16`,
    /// `x86_64+avx512+amx` or `aarch64+neonbf16`.
    pub fn bf16_name(self) -> String {
        let way = if self.tiles { "+amx" } else { "bf16" };
        format!("{}{way}", self.name())
    }

    /// As recorded with a run: `x86_64+avx512`, `x86_64+avx2`, `aarch64+neon`, or the architecture alone.
    pub fn name(self) -> &'static str {
        match self.kind {
            Kind::Portable => std::env::consts::ARCH,
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => "x86_64+avx2",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => "x86_64+avx512",
            #[cfg(target_arch = "aarch64")]
            Kind::Neon => "aarch64+neon",
        }
    }
}

/// Defines kernels: each body, generic over `L: Lanes`, is compiled for every instruction set and chosen by the first argument.
/// The bodies are unsafe code: they must stay within the given slices.
macro_rules! kernels {
    ($($(#[$meta:meta])* fn $name:ident<$l:ident>($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block)*) => {$(
        $(#[$meta])*
        #[allow(clippy::too_many_arguments, reason = "a kernel takes slices and numbers, not structures")]
        pub fn $name(isa: $crate::Isa, $($arg: $ty),*) $(-> $ret)? {
            #[inline(always)]
            #[allow(clippy::too_many_arguments, reason = "as above")]
            unsafe fn body<$l: $crate::lanes::Lanes>($($arg: $ty),*) $(-> $ret)? {
                // SAFETY: the caller runs this with the features of `L`; the body asserts the lengths it relies on.
                unsafe { $body }
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx2,fma")]
            #[allow(clippy::too_many_arguments, reason = "as above")]
            unsafe fn avx512($($arg: $ty),*) $(-> $ret)? {
                // SAFETY: this function has the features of these lanes.
                unsafe { body::<$crate::lanes_x86::Avx512>($($arg),*) }
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            #[allow(clippy::too_many_arguments, reason = "as above")]
            unsafe fn avx2($($arg: $ty),*) $(-> $ret)? {
                // SAFETY: this function has the features of these lanes.
                unsafe { body::<$crate::lanes_x86::Avx2>($($arg),*) }
            }
            #[cfg(target_arch = "aarch64")]
            #[target_feature(enable = "neon")]
            #[inline(never)]
            #[allow(clippy::too_many_arguments, reason = "as above")]
            unsafe fn neon($($arg: $ty),*) $(-> $ret)? {
                // SAFETY: this function has the features of these lanes.
                unsafe { body::<$crate::lanes_neon::Neon>($($arg),*) }
            }
            use $crate::isa::Kind;
            match isa.kind() {
                // SAFETY: an `Isa` of this kind exists only if the machine has the features.
                #[cfg(target_arch = "x86_64")]
                Kind::Avx512 => unsafe { avx512($($arg),*) },
                // SAFETY: likewise.
                #[cfg(target_arch = "x86_64")]
                Kind::Avx2 => unsafe { avx2($($arg),*) },
                // SAFETY: likewise.
                #[cfg(target_arch = "aarch64")]
                Kind::Neon => unsafe { neon($($arg),*) },
                // SAFETY: the portable lanes need no feature.
                Kind::Portable => unsafe { body::<$crate::lanes::Portable>($($arg),*) },
            }
        }
    )*};
}
pub(crate) use kernels;
