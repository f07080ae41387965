"""HTTP of places."""

from fastapi import APIRouter

from services.geo_api.places.endpoints import (
    exports,
    geofences,
    hours,
    imports,
    nearby,
    stores,
    versions,
)

router = APIRouter()
# The fixed addresses first: /v1/stores/nearby is no store of that name.
router.include_router(nearby.router)
router.include_router(imports.router)
router.include_router(exports.router)
router.include_router(stores.router)
router.include_router(hours.router)
router.include_router(geofences.router)
router.include_router(versions.router)
