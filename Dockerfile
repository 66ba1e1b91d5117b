# syntax=docker/dockerfile:1
# Rookery in two images; docs/container.md says why each flag.
#
# `embedded`, the default: with its own emulator, on Debian slim, as an unprivileged user.
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
#
# `penguin`: a Penguin image in which `penguin mcp [PROJECT]` is Rookery's server.
#
#   docker build -t penguin-mcp --target penguin --build-arg PENGUIN_IMAGE=rehosting/penguin:TAG .
#   PENGUIN_IMAGE=penguin-mcp penguin --extra_docker_args -i mcp PROJECT
#
# For builds that can be repeated, name each base image by its digest: `IMAGE@sha256:…`.
ARG RUST_IMAGE=rust:1.95-slim-bookworm
ARG DEBIAN_IMAGE=debian:bookworm-slim
ARG PENGUIN_IMAGE=rehosting/penguin:latest

FROM ${RUST_IMAGE} AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends gcc make libc6-dev \
 && rm -rf /var/lib/apt/lists/* \
 && rustup target add wasm32-wasip2
WORKDIR /src
COPY . .
RUN make LOCKED=--locked plugins host

# What both images have, in one directory that root owns: the program, the tools, their code for
# every CPU and user, and their digests.
FROM ${DEBIAN_IMAGE} AS installed
COPY --from=build /src/dist/rookery /usr/lib/rookery/rookery
COPY --from=build /src/dist/plugins /usr/lib/rookery/plugins
RUN chown -R 0:0 /usr/lib/rookery && chmod -R go-w /usr/lib/rookery \
 && /usr/lib/rookery/rookery plugins compile --cache-dir /tmp/cache --state-dir /tmp/state \
 && /usr/lib/rookery/rookery plugins lock --lock /usr/lib/rookery/plugins.lock \
      --cache-dir /tmp/cache --state-dir /tmp/state \
 && mkdir /usr/lib/rookery/bin && ln -s ../rookery /usr/lib/rookery/bin/penguin \
 && ln -s ../rookery /usr/lib/rookery/bin/rookery

# Its user stays Penguin's: the wrapper names the caller's with `-u`, and without root, podman makes
# root of the caller.
FROM ${PENGUIN_IMAGE} AS penguin
COPY --from=installed /usr/lib/rookery /usr/lib/rookery
ENV PATH=/usr/lib/rookery/bin:${PATH} \
    ROOKERY_LOCK=/usr/lib/rookery/plugins.lock ROOKERY_LOCKED=true \
    ROOKERY_STATE_DIR=/tmp/rookery/state ROOKERY_CACHE_DIR=/tmp/rookery/cache

FROM ${DEBIAN_IMAGE} AS embedded
# 7.2 lacks some calls of shared memory and sockets: of those that the mirrors have, the newer one.
RUN apt-get update \
 && qemu=qemu-user-static \
 && if apt-cache madison qemu-user | grep -q bpo12; then qemu=qemu-user/bookworm-backports; fi \
 && apt-get install -y --no-install-recommends $qemu \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --create-home --uid 10001 rookery \
 && mkdir /projects && chown rookery /projects
COPY --from=installed /usr/lib/rookery /usr/lib/rookery
RUN ln -s /usr/lib/rookery/rookery /usr/bin/rookery
# Also for a user that the image does not know.
ENV HOME=/home/rookery ROOKERY_LOCK=/usr/lib/rookery/plugins.lock ROOKERY_LOCKED=true
USER rookery
VOLUME ["/projects"]
ENTRYPOINT ["rookery"]
CMD ["serve", "--root", "/projects"]
