"""Examples of answers, for the OpenAPI document."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiParameter

MATCH: dict[str, Any] = {
    "model": "shop.product",
    "pk": "15",
    "title": "Armchair",
    "url": "/products/armchair/",
    "image": "https://example.com/media/products/armchair.jpg",
    "thumbnail": {
        "url": "https://example.com/media/thumbnails/armchair-320.jpg",
        "width": 320,
        "height": 240,
        "srcset": "https://example.com/media/thumbnails/armchair-640.jpg 640w",
    },
    "similarity": 87.4,
    "scores": {"embedding": 88.5, "color": 73.2},
    "folded": 0,
    "fallback": False,
}

QUERY: dict[str, Any] = {
    "model": "shop.product",
    "pk": "12",
    "status": "indexed",
    "indexed_at": "2026-11-21T09:30:00Z",
}

MATCHES: dict[str, Any] = {
    "query": QUERY,
    "results": [MATCH],
    "complete": True,
    "next": "https://example.com/api/similar-images/shop.product/12/similar/?limit=1&cursor=W10:1vPqXe:s3Jq",
}

MATCHES_OF_IMAGE: dict[str, Any] = {
    "query": {"model": "shop.product", "status": "indexed", "indexed_at": None},
    "results": [MATCH],
    "complete": True,
    "next": None,
}

MATCHES_OF_KEPT_IMAGE: dict[str, Any] = {
    **MATCHES_OF_IMAGE,
    "query": {**MATCHES_OF_IMAGE["query"], "upload": "WyI5ZjJjIiwiYy5qcGciLCIiXQ:1wXgz3:Yt8a"},
}

MATCHES_OF_TEXT: dict[str, Any] = {
    "query": {"model": "shop.product", "text": "a green armchair", "status": "indexed", "indexed_at": None},
    "results": [MATCH],
    "complete": True,
    "next": None,
}

EXPLANATION: dict[str, Any] = {
    "resemblance": "other-color",
    "sentence": "Same design in another color.",
    "boxes": {"query": [0.12, 0.2, 0.7, 0.61], "match": [0.1, 0.22, 0.71, 0.6]},
}

MARK: dict[str, Any] = {"model": "shop.product", "pk": "12", "other": "15", "alike": False}

MARK_REQUEST = OpenApiExample("Not similar", {"other": "15", "alike": False}, request_only=True)

_SIDE: dict[str, Any] = {
    "title": "Armchair",
    "width": 1200,
    "height": 900,
    "image": "https://example.com/media/products/armchair.jpg",
    "url": "/products/armchair/",
    "model": "shop.product",
    "field": "photo",
    "pk": "15",
}

COMPARISON: dict[str, Any] = {
    "a": _SIDE,
    "b": {"title": "upload.jpg", "width": 600, "height": 450, "image": "", "url": ""},
    "verdict": {
        "kind": "same-picture",
        "title": "Same image",
        "text": "Both images are the same; the second is resized to 50% of the first.",
        "changes": ["resized"],
        "transform": {
            "is_mirrored": False,
            "angle": 0.0,
            "scale": 0.5,
            "part": [0.0, 0.0, 1.0, 1.0],
            "whole": [0.0, 0.0, 1.0, 1.0],
            "stretch": 0.0,
        },
        "probability": 0.99,
    },
    "measures": [
        {
            "name": "ssim",
            "title": "Structure (SSIM)",
            "meaning": "Similarity of local structure.",
            "value": 0.98,
            "best": 1.0,
            "worst": 0.0,
            "similarity": 98.0,
            "seconds": 0.021,
            "details": {},
            "problem": "",
        }
    ],
    "complete": True,
    "pictures": [],
}

STATUS: dict[str, Any] = {
    "sources": [{"source": "shop.Product.photo", "records": {"pending": 0, "indexed": 600, "failed": 0}}],
    "unregistered": [],
    "methods": [
        {"name": "color", "version": "3f2a9c", "dimensions": 384, "metric": "l1", "weight": 0.07},
    ],
    "indexes": [
        {
            "source": "shop.Product.photo",
            "method": "color",
            "version": "3f2a9c",
            "next_version": "",
            "search": "exact",
        }
    ],
}

BATCH_REQUEST = OpenApiExample("Two items", {"ids": ["12", "15"], "limit": 4}, request_only=True)

MODEL_PARAMETER = OpenApiParameter(
    "model",
    {"type": "string", "pattern": r"^[^/.]+\.[^/.]+$"},
    OpenApiParameter.PATH,
    description="app_label.model",
    examples=[OpenApiExample("Model", "shop.product")],
)

KEY_PARAMETER = OpenApiParameter(
    "pk",
    {"type": "string", "minLength": 1},
    OpenApiParameter.PATH,
    description="The primary key.",
    examples=[OpenApiExample("Key", "12")],
)
