"""The queue of windows: everyone gets their own answer, from full batches, a few of them at a time."""

import dataclasses
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from pipeline.cost import METER
from pipeline.mask import queue
from pipeline.testing import ThresholdModel


class Echo:
    """Gives back what it is given, or what is made of it; counts who is inside, and what comes at once."""

    def __init__(self, batch, *, takes=0.0, fails=()):
        options = {"device": "cuda"}
        self.card = dataclasses.replace(ThresholdModel().card, batch=batch, options=options)
        self._lock, self._takes, self._fails = threading.Lock(), takes, fails
        self.inside = self.most_inside = 0
        self.sizes = []

    def predict(self, windows):
        with self._lock:
            self.inside += 1
            self.most_inside = max(self.most_inside, self.inside)
            self.sizes.append(len(windows))
        time.sleep(self._takes)
        with self._lock:
            self.inside -= 1
        if any(window.flat[0] in self._fails for window in windows):
            raise ValueError("bad luck")
        return windows

    def predict_then(self, windows, beside, then):
        return then(self.predict(windows), beside)


def window(number):
    return np.full((1, 2, 2), number, np.float32)


def asked_by(threads, model, per_thread):
    """Every thread asks about windows of its own numbers."""

    def ask(thread):
        numbers = range(thread * per_thread, (thread + 1) * per_thread)
        try:
            answers = queue.predict(model, [window(number) for number in numbers])
        except ValueError as error:
            return error
        return [answer.flat[0] for answer in answers] == list(numbers)

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(ask, range(threads)))


@pytest.mark.parametrize("threads", [1, 2, 7])
@pytest.mark.parametrize("batch", [2, 4, 64])
@pytest.mark.parametrize("per_thread", [1, 5])
def test_everyone_gets_their_own_answer(threads, batch, per_thread):
    model = Echo(batch, takes=0.002)
    assert all(asked_by(threads, model, per_thread))
    assert sum(model.sizes) == threads * per_thread
    assert max(model.sizes) <= batch
    assert model.most_inside <= queue.SLOTS


def test_the_next_batch_is_made_ready_while_one_is_computed():
    model = Echo(2, takes=0.05)
    assert all(asked_by(4, model, 2))
    assert model.most_inside > 1


def test_a_batch_that_fails_costs_those_in_it_and_nobody_waits_for_ever():
    model = Echo(3, takes=0.002, fails={4.0})
    answers = asked_by(6, model, 3)
    assert isinstance(answers[1], ValueError)
    assert sum(model.sizes) == 18
    # Batches are of whatever windows gathered, so others may have been in the same one.
    assert all(answer is True or isinstance(answer, ValueError) for answer in answers)


def test_what_is_made_differently_never_meets_in_a_batch():
    model, met = Echo(4, takes=0.002), []

    def making(purpose):
        def then(windows, beside):
            met.append((purpose, set(beside.tolist())))
            return windows * purpose, beside

        return then

    def ask(purpose):
        asked = [(window(number), np.array(purpose)) for number in range(6)]
        made = queue.predict_then(model, asked, making(purpose), purpose)
        return [whole.flat[0] for whole, _ in made]

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(ask, [2, 3] * 6))
    assert answers == [[purpose * number for number in range(6)] for purpose in [2, 3] * 6]
    assert all(beside == {purpose} for purpose, beside in met)
    assert max(model.sizes) > 1


def test_time_of_a_gpu_that_several_batches_share_is_counted_once():
    begun, before = time.perf_counter(), METER.total()
    asked_by(3, Echo(2, takes=0.1), 4)
    spent = (METER.total() - before).device_seconds
    assert 0.1 < spent <= time.perf_counter() - begun
