# Stayer in a small image that serves as any role.
#
#   docker build -t stayer .
#   docker run --network host -v /var/run/docker.sock:/var/run/docker.sock -v /var/lib/stayer:/var/lib/stayer stayer
#
# The agent needs root and the engine's socket; its data directory has the same path inside and outside, so that the engine finds the sandboxes in it.
# Other roles run as anybody: `docker run --user 65534:65534 … stayer server …`.
#
# Build arguments:
#   BUILDER  what compiles: Rust and a C compiler
#   BASE     what runs: anything with glibc
#   BINARY   a binary that is already built, as a path in the context; then nothing is compiled and BUILDER needs no more than `sh` and `cp`
#
# Without any image but a local one, from a directory that holds nothing but the binary (scripts/test-images builds stayer-test-base:local):
#
#   docker build -t stayer-test:local -f Dockerfile \
#       --build-arg BUILDER=stayer-test-base:local --build-arg BASE=stayer-test-base:local --build-arg BINARY=stayer DIRECTORY
#
# The classic builder runs every stage up to the last one, so there are two stages only, and the first does nothing slow when BINARY is given.

ARG BUILDER=rust:1.95-bookworm
ARG BASE=debian:12-slim

FROM ${BUILDER} AS build
ARG BINARY=
WORKDIR /src
COPY . .
RUN set -eu; \
    binary=$BINARY; \
    if [ -z "$binary" ]; then cargo build --release --locked; binary=target/release/stayer; fi; \
    mkdir -p /out/usr/local/bin /out/var/lib/stayer; \
    cp "$binary" /out/usr/local/bin/stayer; \
    chmod 755 /out/usr/local/bin/stayer; \
    certificates=/etc/ssl/certs/ca-certificates.crt; \
    if [ -e "$certificates" ]; then mkdir -p /out/etc/ssl/certs; cp "$certificates" "/out$certificates"; fi

FROM ${BASE} AS runtime
COPY --from=build /out/ /
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
ENV STAYER_DATA_DIR=/var/lib/stayer
EXPOSE 8080 8081
ENTRYPOINT ["stayer"]
CMD ["dev"]
