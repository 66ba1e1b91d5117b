# syntax=docker/dockerfile:1
# Rookery with its embedded emulator, on Debian slim, as an unprivileged user. docs/container.md
# says why each flag:
#
#   docker build -t rookery .
#   mkdir projects && sudo chown 10001 projects   # the container's user
#   docker run --rm -i --read-only --tmpfs /tmp --tmpfs /home/rookery --network none \
#     --cap-drop ALL --security-opt no-new-privileges --security-opt seccomp=unconfined \
#     --security-opt systempaths=unconfined \
#     -v "$PWD/projects:/projects" rookery
#
# Podman without root takes `unmask=ALL` in place of `systempaths=unconfined`, and
# `--userns=keep-id:uid=10001,gid=10001`.

FROM rust:1.95-slim-bookworm AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends gcc make libc6-dev \
 && rm -rf /var/lib/apt/lists/* \
 && rustup target add wasm32-wasip2
WORKDIR /src
COPY . .
RUN make LOCKED=--locked plugins host

FROM debian:bookworm-slim
# 7.2 lacks some calls of shared memory and sockets: of those that the mirrors have, the newer one.
RUN apt-get update \
 && qemu=qemu-user-static \
 && if apt-cache madison qemu-user | grep -q bpo12; then qemu=qemu-user/bookworm-backports; fi \
 && apt-get install -y --no-install-recommends $qemu \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --create-home --uid 10001 rookery \
 && mkdir /projects && chown rookery /projects
COPY --from=build /src/dist/rookery /usr/lib/rookery/rookery
COPY --from=build /src/dist/plugins /usr/lib/rookery/plugins
RUN ln -s /usr/lib/rookery/rookery /usr/bin/rookery
# The tools are compiled for the CPU that builds the image; another one compiles them again at each
# start, unless it is given a volume to keep them in.
ENV ROOKERY_CACHE_DIR=/var/cache/rookery
RUN install -d -o rookery /var/cache/rookery
USER rookery
RUN rookery plugins list
VOLUME ["/projects"]
ENTRYPOINT ["rookery"]
CMD ["serve", "--root", "/projects"]
