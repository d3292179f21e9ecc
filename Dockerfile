# A container image of the program:
#
#     docker build --tag specbook .
#     docker run --rm --user "$(id -u):$(id -g)" --volume "$PWD:/work" specbook run specs/epoch-frenzy.yaml
#
# Specs, store and reports stay in the folder mounted at /work.
FROM rust:1.95-slim-bookworm AS build
WORKDIR /build
COPY Cargo.toml Cargo.lock ./
COPY crates crates
COPY templates templates
COPY specs specs
COPY src src
# Cargo needs the files of all targets, even those not built here.
COPY benches benches
# And of all members of the workspace.
COPY tests/gpu/ptx tests/gpu/ptx
RUN cargo build --release --locked

FROM debian:bookworm-slim
# Trusted certificate authorities.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /build/target/release/specbook /usr/local/bin/specbook
WORKDIR /work
ENTRYPOINT ["specbook"]
CMD ["--help"]
