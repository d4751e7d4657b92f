# The image holds one static binary and its configuration: no shell, no libc, no package manager.
#   docker build -t m3ring .
#   docker run -p 7201:7201 -p 7203:7203 -v m3db_data:/var/lib/m3db m3ring
# deploy/README.md says how io_uring is allowed in a container.

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
# glibc can be linked statically where the target is named: build scripts then stay dynamic.
RUN target="$(rustc -vV | sed -n 's/^host: //p')" \
 && RUSTFLAGS="-C target-feature=+crt-static" cargo build --locked --release --target "$target" -p m3ring \
 && mkdir -p /image/m3db \
 && cp "target/$target/release/m3ring" /image/m3ring \
 && strip --strip-debug /image/m3ring \
 && cp deploy/docker/m3ring.yml /image/m3dbnode.yml

FROM scratch
LABEL org.opencontainers.image.title="m3ring" \
      org.opencontainers.image.description="M3 in one process: Prometheus in, PromQL out, durable before it answers" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /image/m3ring /m3ring
COPY --from=build /image/m3dbnode.yml /etc/m3dbnode/m3dbnode.yml
COPY --from=build --chown=65532:65532 /image/m3db /var/lib/m3db
# A bind mount that the runtime makes is root's: the program may take over an empty one (io/src/privilege.rs).
RUN ["/m3ring", "grant"]
# Nobody's number: the container needs no root, no capability and no writable root file system.
USER 65532:65532
# Data that is stored without a word about where still ends up in the volume.
WORKDIR /var/lib/m3db
VOLUME /var/lib/m3db
EXPOSE 7201 7203
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["/m3ring", "health", "-f", "/etc/m3dbnode/m3dbnode.yml"]
ENTRYPOINT ["/m3ring"]
CMD ["-f", "/etc/m3dbnode/m3dbnode.yml"]
