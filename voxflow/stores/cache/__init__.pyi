from .arena import Arena as Arena
from .arena import default_arena as default_arena
from .arena import set_cache_size as set_cache_size
from .cached import CachedDataset as CachedDataset
from .choose import Cache as Cache
from .choose import with_cache as with_cache
from .choose import parse_cache as parse_cache
from .preloaded import PreloadedDataset as PreloadedDataset
