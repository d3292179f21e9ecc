# The program in an image of its own:
#
#     docker build --tag specbook .
#     docker run --rm --user "$(id -u):$(id -g)" --volume "$PWD:/work" specbook run specs/epoch-frenzy.yaml
#
# Specs, store and reports stay in the folder that is mounted at /work.
FROM rust:1.95-slim-bookworm AS build
WORKDIR /build
COPY Cargo.toml Cargo.lock ./
COPY crates crates
COPY templates templates
COPY specs specs
COPY src src
# Targets that are not built here need their files all the same.
COPY benches benches
RUN cargo build --release --locked

FROM debian:bookworm-slim
# Whom a connection trusts.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /build/target/release/specbook /usr/local/bin/specbook
WORKDIR /work
ENTRYPOINT ["specbook"]
CMD ["--help"]
