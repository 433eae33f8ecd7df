#!/usr/bin/env python3
"""Writes samples/ai_studio.jsonl: invented metadata of an AI Studio, the same at every run."""
import json
import pathlib
import random

TEAMS = ["retail", "claims", "support", "logistics", "compliance", "research"]
TASKS = [
    ("assistant", "answers questions of shop customers about orders and returns"),
    ("triage", "sorts incoming insurance claims by urgency and completeness"),
    ("summary", "condenses long call transcripts into three sentences"),
    ("routing", "chooses the warehouse that should serve an order"),
    ("review", "finds clauses in contracts that differ from the standard"),
    ("search", "retrieves passages from the product handbook with citations"),
]
MODELS = ["gpt-4o", "gpt-4o-mini", "phi-3-medium", "mistral-large", "llama-3-70b"]


def flow(rng, team, task, text, number):
    return {
        "display_name": f"{team} {task} flow {number}",
        "description": f"A flow of the {team} team that {text}.",
        "created": f"2026-{1 + number % 12:02d}-{1 + number % 28:02d}T09:30:00Z",
        "nodes": [
            {"name": "retrieve", "type": "python", "source": "retrieve.py", "top_k": rng.randint(3, 9)},
            {"name": "answer", "type": "llm", "model": rng.choice(MODELS), "temperature": round(rng.random(), 2)},
        ],
    }


def deployment(rng, team, task, text, number):
    return {
        "endpoint": f"{team}-{task}",
        "model": rng.choice(MODELS),
        "instances": rng.randint(1, 6),
        "traffic_percent": rng.choice([10, 50, 100]),
        "notes": f"Serves the model that {text}; owned by the {team} team.",
    }


def evaluation(rng, team, task, text, number):
    return {
        "dataset": f"{team}-golden-{number % 7}",
        "metrics": {
            "groundedness": round(rng.uniform(3.1, 4.9), 2),
            "relevance": round(rng.uniform(3.0, 4.8), 2),
            "f1": round(rng.uniform(0.61, 0.97), 3),
        },
        "verdict": rng.choice(["better than the last run", "no clear change", "worse on long inputs"]),
    }


def index(rng, team, task, text, number):
    return {
        "index_name": f"{team}-{task}-v{1 + number % 5}",
        "embedding": rng.choice(["text-embedding-3-large", "text-embedding-3-small"]),
        "dimensions": rng.choice([256, 1536, 3072]),
        "fields": ["title", "chunk", "source", "updated"],
        "purpose": f"Holds the passages for the model that {text}.",
    }


def main():
    rng = random.Random(20261124)
    makers = {"flows": flow, "deployments": deployment, "evaluations": evaluation, "indexes": index}
    out = pathlib.Path(__file__).resolve().parent.parent / "samples" / "ai_studio.jsonl"
    lines = []
    for number in range(360):
        collection = list(makers)[number % 4]
        team = TEAMS[(number // 4) % len(TEAMS)]
        task, text = TASKS[(number // 7) % len(TASKS)]
        lines.append(json.dumps({
            "collection": collection,
            "id": f"{team}-{task}-{number:03d}",
            "labels": {"team": team, "task": task, "stage": rng.choice(["dev", "test", "prod"])},
            "content": makers[collection](rng, team, task, text, number),
        }))
    out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
