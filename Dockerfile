# The server, built from this tree and run by a user who owns nothing but the data.

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --package greenroom \
    && install -D target/release/greenroom /out/greenroom

FROM debian:bookworm-slim
RUN groupadd --system --gid 10001 greenroom \
    && useradd --system --uid 10001 --gid greenroom --no-create-home --home-dir /data \
        --shell /usr/sbin/nologin greenroom \
    && install -d -o greenroom -g greenroom -m 0700 /data
COPY --from=build /out/greenroom /usr/local/bin/greenroom
USER 10001:10001
# A container has an address of its own; what may reach it is for whoever publishes its port.
# TLS is the reverse proxy's there.
ENV GREENROOM_LISTEN=0.0.0.0:8008 \
    GREENROOM_TLS_LISTEN=off \
    GREENROOM_DATA_DIR=/data
WORKDIR /data
VOLUME /data
EXPOSE 8008
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
    CMD ["greenroom", "health"]
ENTRYPOINT ["greenroom"]
CMD ["serve"]
