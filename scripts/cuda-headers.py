#!/usr/bin/env python3
"""Compares every function of src/train/engine/cuda/api.rs with NVIDIA's headers: number of arguments, their sizes, whether they are pointers or
floating-point numbers, and what they point to; and the program's enumeration constants.

    scripts/cuda-headers.py [FOLDER...]     folders with cuda.h and cublas_v2.h; default: those of $CUDA_PATH and of build-cuda.sh's download

Needs a C++17 compiler (c++, or CXX). Functions without a header are skipped with a message. Exit codes: 0 all agree, 1 some differ."""
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SCALARS = {
    "u8": "unsigned char", "u32": "unsigned", "u64": "unsigned long long", "i64": "long long", "usize": "size_t",
    "c_int": "int", "c_char": "char", "f32": "float", "f64": "double", "c_void": "void", "Handle": "void *",
}
# Constants used in the program: (name in the header, number, header).
NUMBERS = [
    ("CU_MEMPOOL_ATTR_RELEASE_THRESHOLD", 4, "cuda"), ("CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR", 75, "cuda"),
    ("CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR", 76, "cuda"), ("CUDA_ERROR_OUT_OF_MEMORY", 2, "cuda"), ("CUDA_ERROR_STUB_LIBRARY", 34, "cuda"),
    ("CUDA_ERROR_DEVICE_UNAVAILABLE", 46, "cuda"), ("CUDA_ERROR_INVALID_CONTEXT", 201, "cuda"), ("CUDA_ERROR_NO_BINARY_FOR_GPU", 209, "cuda"),
    ("CUDA_ERROR_ECC_UNCORRECTABLE", 214, "cuda"), ("CUDA_ERROR_INVALID_PTX", 218, "cuda"), ("CUDA_ERROR_JIT_COMPILER_NOT_FOUND", 221, "cuda"),
    ("CUDA_ERROR_UNSUPPORTED_PTX_VERSION", 222, "cuda"), ("CUDA_ERROR_JIT_COMPILATION_DISABLED", 223, "cuda"), ("CUDA_ERROR_NOT_FOUND", 500, "cuda"),
    ("CUDA_ERROR_ILLEGAL_ADDRESS", 700, "cuda"), ("CUDA_ERROR_LAUNCH_FAILED", 719, "cuda"), ("CUDA_ERROR_NOT_SUPPORTED", 801, "cuda"),
    ("CUDA_ERROR_SYSTEM_NOT_READY", 802, "cuda"), ("CUDA_ERROR_SYSTEM_DRIVER_MISMATCH", 803, "cuda"),
    ("CU_STREAM_NON_BLOCKING", 1, "cuda"), ("CU_STREAM_CAPTURE_MODE_THREAD_LOCAL", 1, "cuda"),
    ("CUDA_R_16BF", 14, "blas"), ("CUDA_R_32F", 0, "blas"), ("CUBLAS_COMPUTE_32F", 68, "blas"), ("CUBLAS_GEMM_DEFAULT", -1, "blas"),
    ("MAJOR_VERSION", 0, "blas"), ("MINOR_VERSION", 1, "blas"), ("PATCH_LEVEL", 2, "blas"),
    ("CUBLAS_OP_N", 0, "blas"), ("CUBLAS_OP_T", 1, "blas"), ("CUBLAS_STATUS_ALLOC_FAILED", 3, "blas"),
]
COMPARE = r"""
#include <cstddef>
#include <cstdio>
#include <type_traits>
template <class T, class = void> struct Size { static constexpr size_t of = 0; };
template <class T> struct Size<T, decltype(void(sizeof(T)))> { static constexpr size_t of = std::is_void<T>::value ? 0 : sizeof(T); };
template <class A, class B> constexpr bool alike() {
  using P = std::remove_cv_t<std::remove_pointer_t<A>>;
  using Q = std::remove_cv_t<std::remove_pointer_t<B>>;
  if (sizeof(A) != sizeof(B) || std::is_pointer<A>::value != std::is_pointer<B>::value || std::is_floating_point<A>::value != std::is_floating_point<B>::value) return false;
  if (!std::is_pointer<A>::value || Size<P>::of == 0 || Size<Q>::of == 0) return true;
  return Size<P>::of == Size<Q>::of && std::is_floating_point<P>::value == std::is_floating_point<Q>::value;
}
template <class F, class G> struct Same : std::false_type {};
template <class R, class... A, class S, class... B> struct Same<R(A...), S(B...)> {
  static constexpr bool value = [] {
    if constexpr (sizeof...(A) != sizeof...(B)) return false;
    else return sizeof(R) == sizeof(S) && (alike<A, B>() && ...);
  }();
};
template <class F> struct Plain { using type = F; };
template <class R, class... A> struct Plain<R(A...) noexcept> { using type = R(A...); };
static int different;
static void say(const char *name, bool same) {
  if (same) return;
  std::printf("%s is DIFFERENT\n", name);
  different++;
}
"""


def c_type(text):
    """The C type of a Rust type."""
    text = text.strip()
    for mark, const in (("*mut ", ""), ("*const ", " const")):
        if text.startswith(mark):
            return f"{c_type(text[len(mark):])}{const} *"
    return SCALARS[text]


def functions():
    """(library, name, types of the arguments) of the functions in api.rs and driver.rs."""
    with open(os.path.join(ROOT, "src/train/engine/cuda/api.rs"), encoding="utf-8") as file:
        text = file.read()
    body = text[text.index("\nfunctions! {"):]
    body = body[:body.index("\n}\n")]
    found = []
    for library, name, arguments in re.findall(r"^    \w+ (driver|blas) (\w+)\(([^;]*)\);", body, re.M | re.S):
        types = [c_type(argument.split(":", 1)[1]) for argument in arguments.split(",") if argument.strip()]
        found.append((library, name, types))
    assert len(found) > 40, "api.rs is written otherwise than this script reads it"
    return found + [
        ("driver", "cuDriverGetVersion", ["int *"]), ("driver", "cuDeviceGetName", ["char *", "int", "int"]),
        ("blas", "cublasGetProperty", ["int", "int *"]),
    ]


def folders():
    """Folders to search for headers."""
    given = sys.argv[1:] or [
        os.path.join(os.environ.get("CUDA_PATH", "/usr/local/cuda"), "include"),
        os.path.join(ROOT, "target/cuda-build/toolkit/nvidia/cu13/include"),
    ]
    return [folder for pattern in given for folder in glob.glob(pattern)]


def main():
    """Writes the comparison as C++, compiles and runs it."""
    compiler = shutil.which(os.environ.get("CXX", "c++"))
    if compiler is None:
        print("skipped: there is no C++ compiler (`c++`, or CXX)")
        return 0
    there = {name: any(os.path.exists(os.path.join(folder, name)) for folder in folders()) for name in ("cuda.h", "cublas_v2.h")}
    for name, found in there.items():
        if not found:
            print(f"skipped: no {name} (name its folder)")
    # Versioned names are written out, so the header's own renaming must be disabled.
    lines = ["#define __CUDA_API_VERSION_INTERNAL 1"]
    known = {"driver": there["cuda.h"], "blas": there["cublas_v2.h"]}
    lines.append(COMPARE)
    if known["driver"]:
        lines.append("#include <cuda.h>")
    if known["blas"]:
        # As seen by a C compiler: for C++ there is a second cublasGemmEx.
        lines += [f"#include <{name}.h>" for name in ("stdint", "driver_types", "cuComplex", "library_types", "cuda_fp16", "cuda_bf16")]
        lines += ["#undef __cplusplus", "#include <cublas_v2.h>", "#define __cplusplus 201703L"]
    lines.append("int main() {")
    count = 0
    for library, name, types in functions():
        if known[library]:
            count += 1
            lines.append(f'  say("{name}", Same<Plain<decltype({name})>::type, unsigned({", ".join(types)})>::value);')
    for name, number, header in NUMBERS:
        if known["blas" if header == "blas" else "driver"]:
            lines.append(f'  say("{name}", int({name}) == {number});')
    lines += [f'  std::printf("{count} functions compared, %d different\\n", different);', "  return different != 0;", "}"]
    with tempfile.TemporaryDirectory() as folder:
        source, program = os.path.join(folder, "headers.cpp"), os.path.join(folder, "headers")
        with open(source, "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
        includes = [f"-I{folder}" for folder in folders()]
        # Only types are checked: nothing is linked.
        subprocess.run([compiler, "-std=c++17", "-w", *includes, source, "-o", program], check=True)
        return subprocess.run([program], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
