import pickle

from voxflow.nodes.locations.remembered import Remembered


def test_makes_each_result_once_and_forgets_the_oldest():
    made = []

    def make(key):
        made.append(key)
        return key * 10

    known = Remembered(2)
    results = [known.get(key, lambda key=key: make(key)) for key in (1, 2, 1, 3, 2, 1)]
    assert results == [10, 20, 10, 30, 20, 10]
    assert made == [1, 2, 3, 1]


def test_results_travel():
    known = Remembered(1)
    known.get(1, lambda: "here")
    copy = pickle.loads(pickle.dumps(known))
    assert copy.get(1, lambda: "there") == "here"
    assert copy.get(2, lambda: "there") == "there"
    assert copy.get(1, lambda: "forgotten") == "forgotten"
    assert known.get(1, lambda: "there") == "here"
