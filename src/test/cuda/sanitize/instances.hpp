// The instances that images hold, as the entry files of src/main/cuda list them.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "suites/kernel.hpp"

namespace suites {

// The tile lists have one name for all entry files.
namespace tiles {

using Words = std::vector<std::string>;

#define STRIPED_WORD(words, rows, columns) words.push_back("_m" #rows "_n" #columns);
#define HALVES_WORD(words, rows, columns, halves) words.push_back("_m" #rows "_n" #columns "_h" #halves);
#define HOPPER_WORD(words, rows, columns, neighbours, split) words.push_back("_m" #rows "_n" #columns "_p" #neighbours "_s" #split);
#define LIST(name, TILES, WORD) inline Words name() { Words words; TILES(WORD, words) return words; }

#include "striped/tiles.cuh"
LIST(striped, JMARLIN_STRIPED_TILES, STRIPED_WORD)
#undef JMARLIN_STRIPED_TILES
#include "striped/tiles_few.cuh"
LIST(striped_few, JMARLIN_STRIPED_TILES, STRIPED_WORD)
#undef JMARLIN_STRIPED_TILES
#include "striped/tiles_i8.cuh"
LIST(striped_i8, JMARLIN_STRIPED_TILES, STRIPED_WORD)
#undef JMARLIN_STRIPED_TILES
#include "striped/tiles_sp24.cuh"
LIST(striped_sp24, JMARLIN_STRIPED_TILES, STRIPED_WORD)
#undef JMARLIN_STRIPED_TILES
#include "striped/tiles_halves.cuh"
LIST(striped_halves, JMARLIN_STRIPED_TILES, HALVES_WORD)
#undef JMARLIN_STRIPED_TILES
#include "hopper/tiles.cuh"
LIST(hopper, JMARLIN_HOPPER_TILES, HOPPER_WORD)
#undef JMARLIN_HOPPER_TILES
#include "hopper/tiles_few.cuh"
LIST(hopper_few, JMARLIN_HOPPER_TILES, HOPPER_WORD)
#undef JMARLIN_HOPPER_TILES

}  // namespace tiles

/** An entry file: the family, the word of its images behind it, the forms of its entries, its tiles. */
struct Images {
    std::string family, word;
    std::vector<std::string> forms;
    tiles::Words tiles;
    bool optional;          // a driver may be too old for them
    u32 most_shared = ~0u;  // bytes of the devices that they are for

    /** The instances of every tile, by the name of the tile's images. */
    std::map<std::string, std::vector<Kernel>> kernels() const {
        std::map<std::string, std::vector<Kernel>> all;
        for (const std::string& tile : tiles) {
            for (const char* type : {"_f16_", "_bf16_"}) {
                for (const std::string& form : forms) all[family + word + tile].emplace_back(family + type + form + tile);
            }
        }
        return all;
    }
};

inline std::vector<Images> every_image(bool hopper_too) {
    const std::vector<std::string> int4{"sym_g64", "sym_g32", "zp_g64", "zp_g32"}, fz{"fz_g64", "fz_g32"}, sp24{"sp24_g128", "sp24_g64"};
    std::vector<Images> all{
            {"striped", "", int4, tiles::striped(), false},
            {"striped", "_halves", int4, tiles::striped_halves(), false, 99 * 1024},
            {"striped", "_fz", fz, tiles::striped_few(), false},
            {"striped", "_fp4", {"fp4_g64", "fp4_g32", "fp4_g16"}, tiles::striped_few(), false},
            {"striped", "_i8", {"i8_g64", "i8_g32", "i8_g16", "i8zp_g64", "i8zp_g32", "i8fz_g64", "i8fz_g32"}, tiles::striped_i8(), false},
            {"striped", "_sp24", sp24, tiles::striped_sp24(), true}};
    if (hopper_too) {
        all.push_back({"hopper", "", int4, tiles::hopper(), false});
        all.push_back({"hopper", "_fz", fz, tiles::hopper_few(), false});
        all.push_back({"hopper", "_i8", {"i8_g64", "i8_g32", "i8_g16", "i8fz_g64", "i8fz_g32"}, tiles::hopper_few(), false});
        all.push_back({"hopper", "_sp24", sp24, tiles::hopper_few(), true});
    }
    return all;
}

}  // namespace suites
