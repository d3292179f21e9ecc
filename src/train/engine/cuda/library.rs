//! Shared libraries found at run time.

#[cfg(unix)]
use std::ffi::c_int;
use std::ffi::{CStr, CString, c_char, c_void};

/// An open library; it is never closed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Library(*mut c_void);

// SAFETY: a handle is a number for the loader, which accepts calls from any thread.
unsafe impl Send for Library {}
// SAFETY: likewise.
unsafe impl Sync for Library {}

#[cfg(unix)]
unsafe extern "C" {
    fn dlopen(name: *const c_char, flags: c_int) -> *mut c_void;
    fn dlsym(library: *mut c_void, name: *const c_char) -> *mut c_void;
}

#[cfg(windows)]
#[link(name = "kernel32")]
unsafe extern "system" {
    fn LoadLibraryA(name: *const c_char) -> *mut c_void;
    fn GetProcAddress(library: *mut c_void, name: *const c_char) -> *mut c_void;
}

#[cfg(unix)]
unsafe fn load(name: &CStr) -> *mut c_void {
    const NOW: c_int = 2;
    // A library's own functions take precedence over those of the program with the same names.
    let deep = if cfg!(all(target_os = "linux", target_env = "gnu")) {
        8
    } else {
        0
    };
    // SAFETY: `name` ends in a zero byte; the libraries named here have no harmful initialisers.
    unsafe { dlopen(name.as_ptr(), NOW | deep) }
}

#[cfg(windows)]
unsafe fn load(name: &CStr) -> *mut c_void {
    // SAFETY: `name` ends in a zero byte; the libraries named here have no harmful initialisers.
    unsafe { LoadLibraryA(name.as_ptr()) }
}

#[cfg(unix)]
unsafe fn find(library: *mut c_void, name: &CStr) -> *mut c_void {
    // SAFETY: `library` is never closed; `name` ends in a zero byte.
    unsafe { dlsym(library, name.as_ptr()) }
}

#[cfg(windows)]
unsafe fn find(library: *mut c_void, name: &CStr) -> *mut c_void {
    // SAFETY: `library` is never closed; `name` ends in a zero byte.
    unsafe { GetProcAddress(library, name.as_ptr()) }
}

impl Library {
    /// The first of `names` that can be opened, with its name.
    pub(super) fn first(names: &[&'static str]) -> Option<(Self, &'static str)> {
        names.iter().find_map(|name| {
            let text = CString::new(*name).ok()?;
            // SAFETY: see `load`.
            let handle = unsafe { load(&text) };
            (!handle.is_null()).then_some((Self(handle), *name))
        })
    }

    /// The library in the file `path`.
    #[cfg(test)]
    pub(super) fn at(path: &std::path::Path) -> Option<Self> {
        let text = CString::new(path.to_str()?).ok()?;
        // SAFETY: see `load`.
        let handle = unsafe { load(&text) };
        (!handle.is_null()).then_some(Self(handle))
    }

    /// A function.
    ///
    /// # Safety
    /// `F` is the type of the function of this name.
    pub(super) unsafe fn function<F: Copy>(self, name: &str) -> Option<F> {
        const { assert!(size_of::<F>() == size_of::<*mut c_void>()) };
        let text = CString::new(name).ok()?;
        // SAFETY: the library is never closed.
        let address = unsafe { find(self.0, &text) };
        // SAFETY: the caller guarantees the type, and its size was checked.
        (!address.is_null()).then(|| unsafe { std::mem::transmute_copy(&address) })
    }

    pub(super) fn driver() -> Option<(Self, &'static str)> {
        Self::first(if cfg!(windows) {
            &["nvcuda.dll"]
        } else {
            &["libcuda.so.1", "libcuda.so"]
        })
    }

    /// cuBLAS, in any version with the same interface.
    pub(super) fn blas() -> Option<(Self, &'static str)> {
        Self::first(if cfg!(windows) {
            &["cublas64_13.dll", "cublas64_12.dll", "cublas64_11.dll"]
        } else {
            &[
                "libcublas.so.13",
                "libcublas.so.12",
                "libcublas.so.11",
                "libcublas.so",
                "/usr/local/cuda/lib64/libcublas.so",
                "/opt/cuda/lib64/libcublas.so",
            ]
        })
    }
}
