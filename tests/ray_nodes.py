"""A Ray cluster of a head without CPUs and three nodes of one CPU, on this machine.

`Nodes` starts this file as a script, since Ray's own processes and warnings are not for the tests' process.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil


class Nodes:
    """Starts the cluster. Its nodes' jobs have the environment variables."""

    def __init__(self, **environment: str):
        self.process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | environment,
        )
        self.address = self.process.stdout.readline().strip()
        assert self.address

    def remove(self, process: psutil.Process) -> None:
        """Kill the node on which a process runs, with all of Ray that is there. Another takes its place."""
        numbers = [str(parent.pid) for parent in process.parents()]
        self.process.stdin.write(f"{' '.join(numbers)}\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "removed\n"

    def stop(self) -> None:
        self.process.stdin.close()
        self.process.wait(60)
        self.process.stdout.close()


def serve() -> None:
    from ray.cluster_utils import Cluster

    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # where Ray prints
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    for _ in range(3):
        cluster.add_node(num_cpus=1)
    print(cluster.address, file=answers)
    for line in sys.stdin:
        numbers = {int(word) for word in line.split()}
        [node] = (node for node in cluster.worker_nodes if node.all_processes["raylet"][0].process.pid in numbers)
        cluster.remove_node(node, allow_graceful=False)
        print("removed", file=answers)
        cluster.add_node(num_cpus=1)
    cluster.shutdown()


if __name__ == "__main__":
    sys.path.remove(str(Path(__file__).parent))  # or a module of the tests could hide one that Ray needs
    serve()
