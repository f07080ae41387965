# One image for every step of docker-compose.yml: keys, migration, geo_api, member_api.
FROM python:3.12-slim

ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PYTHONPATH=/app

# Volumes take the owner of the folder they cover: the keys belong to the user below.
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin solomo \
    && install -d -o solomo -g solomo -m 0700 /keys/operator /keys/geo /keys/member

WORKDIR /app
COPY requirements.lock ./
RUN pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.lock

COPY pyproject.toml LICENSE ./
COPY shared ./shared
COPY services ./services
COPY cli ./cli
COPY wechat_sandbox ./wechat_sandbox

USER solomo
